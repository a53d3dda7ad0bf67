// What the entries of the host table share: where the core and the vectors are, and how to run a
// host that is a program of its own, from a copy that has nothing else of the project.

import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { program, version } from "../../test/tools/programs.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Paths from the project folder, and from a copy. */
export const core = "build/core.wasm";
export const vectors = readdirSync(`${root}/test/vectors`)
  .filter((name) => name.endsWith(".txt"))
  .map((name) => `test/vectors/${name}`);
export const runner = "examples/hosts/vectors.js";

/**
 * Calls `use` with a temporary folder in which are the folder of a host, the core, the vectors and
 * `files`, in the places that they have in the project: what the README says is enough.
 *
 * @template Result
 * @param {string} host a folder of examples/hosts.
 * @param {string[]} files
 * @param {(copy: string) => Result | Promise<Result>} use
 * @returns {Promise<Result>}
 */
export async function withCopy(host, files, use) {
  const copy = mkdtempSync(join(tmpdir(), "um-host-"));
  try {
    for (const path of [`examples/hosts/${host}`, core, ...vectors, ...files]) {
      cpSync(join(root, path), join(copy, path), { recursive: true });
    }
    return await use(copy);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Runs a program to its end and returns its standard output; throws when it fails. */
export function output(command, options, folder = root) {
  const { error, status, signal, stdout, stderr } = spawnSync(command, options, {
    cwd: folder,
    encoding: "utf8",
    timeout: 120_000,
  });
  if (error !== undefined) throw error;
  if (status === 0) return stdout;
  throw new Error(`${command} ended with ${signal ?? status}: ${`${stdout}${stderr}`.trim()}`);
}

/** Runs a program that prints "N of M cases passed", as all runners of the vectors do. */
export function cases(command, options, folder) {
  const printed = output(command, options, folder);
  const counts = /^(\d+) of (\d+) cases passed$/m.exec(printed);
  if (counts === null) throw new Error(`${command} printed no count of cases: ${printed}`);
  return { passed: Number(counts[1]), total: Number(counts[2]) };
}

/** Why the command of a Debian package cannot be run here, or null. */
export function missingCommand(command, pack) {
  const { error } = spawnSync(command, ["--version"], { stdio: "ignore" });
  return error === undefined ? null : `${command} is not installed: apt-get install ${pack}`;
}

/** One of the programs in test/tools, as an entry of the table that does not run yet. */
export function tool(name) {
  return {
    name,
    version: () => version(name),
    missing() {
      try {
        program(name);
        return null;
      } catch (error) {
        return error.message;
      }
    },
  };
}

/** A host that is such a program, and runs main.js in a folder of examples/hosts. */
export function toolHost(name, host, options = []) {
  return {
    ...tool(name),
    run: () =>
      withCopy(host, [runner], (copy) => {
        const main = `examples/hosts/${host}/main.js`;
        return cases(program(name), [...options, main, core, ...vectors], copy);
      }),
  };
}
