// Where `npm ci --prefix test/tools` puts the programs that the wider checks run.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const { arch } = process;
const armOrNumber = arch === "x64" ? "64" : arch;
const armOrX64 = arch === "arm64" ? "aarch64" : arch;

/** Relative to node_modules: the binaries themselves, not the scripts that look for them. */
const PROGRAMS = {
  node20: `node20-${arch}/bin/node`,
  node22: `node22-${arch}/bin/node`,
  node24: `node24-${arch}/bin/node`,
  node26: `node26-${arch}/bin/node`,
  deno: `@deno/linux-${arch}-glibc/deno`,
  bun: `@oven/bun-linux-${armOrX64}/bin/bun`,
  workerd: `@cloudflare/workerd-linux-${armOrNumber}/bin/workerd`,
};

/**
 * The absolute path of a program.
 *
 * @param {keyof typeof PROGRAMS} name
 * @returns {string}
 * @throws {Error} when it is not installed here.
 */
export function program(name) {
  const path = fileURLToPath(new URL(`node_modules/${PROGRAMS[name]}`, import.meta.url));
  if (!existsSync(path)) {
    throw new Error(`Cannot run ${name}: ${path} is missing, run "npm ci --prefix test/tools"`);
  }
  return path;
}

/** What a program says about its version, its name and leading "v" taken off. */
export function version(name) {
  const { stdout } = spawnSync(program(name), ["--version"], { encoding: "utf8" });
  return /\d[\w.-]*/.exec(stdout)?.[0] ?? "unknown";
}
