// What the entries of the host table share: where the core and the vectors are, and how to run a
// host that is a program of its own.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { program, version } from "../../test/tools/programs.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Paths from the project folder, in which every host program runs. */
export const core = "build/core.wasm";
export const vectors = readdirSync(`${root}/test/vectors`)
  .filter((name) => name.endsWith(".txt"))
  .map((name) => `test/vectors/${name}`);

/** Runs a program to its end and returns its standard output; throws when it fails. */
export function output(command, ...options) {
  const { error, status, signal, stdout, stderr } = spawnSync(command, options, {
    cwd: root,
    encoding: "utf8",
    timeout: 120_000,
  });
  if (error !== undefined) throw error;
  if (status === 0) return stdout;
  throw new Error(`${command} ended with ${signal ?? status}: ${`${stdout}${stderr}`.trim()}`);
}

/** Runs a program that prints "N of M cases passed", as all runners of the vectors do. */
export function cases(command, ...options) {
  const printed = output(command, ...options);
  const counts = /^(\d+) of (\d+) cases passed$/m.exec(printed);
  if (counts === null) throw new Error(`${command} printed no count of cases: ${printed}`);
  return { passed: Number(counts[1]), total: Number(counts[2]) };
}

/** Why the command of a Debian package cannot be run here, or null. */
export function missingCommand(command, pack) {
  const { error } = spawnSync(command, ["--version"], { stdio: "ignore" });
  return error === undefined ? null : `${command} is not installed: apt-get install ${pack}`;
}

/** A host that is one of the programs in test/tools. */
export function toolHost(name, tool, ...options) {
  return {
    name,
    version: () => version(tool),
    missing() {
      try {
        program(tool);
        return null;
      } catch (error) {
        return error.message;
      }
    },
    run: () => cases(program(tool), ...options),
  };
}
