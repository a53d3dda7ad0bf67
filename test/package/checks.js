// What the smoke test's parts share: one line per check, and programs with a limit of time.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

const LIMIT_MS = 120_000;
const run = promisify(execFile);

/**
 * Runs a check and prints what came of it. A check that throws makes the whole test fail, and the
 * others go on.
 *
 * @param {string} name
 * @param {() => unknown} action may return what is worth printing.
 * @returns {Promise<boolean>} whether it held.
 */
export async function check(name, action) {
  try {
    const detail = await action();
    console.log(`ok      ${name}${detail ? `: ${detail}` : ""}`);
    return true;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    console.log(`FAILED  ${name}: ${text.replaceAll("\n", "\n        ")}`);
    process.exitCode = 1;
    return false;
  }
}

/**
 * What a program prints on standard output.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{cwd?: string, env?: object}} options
 * @throws {Error} with all its output, when it fails.
 */
export async function output(program, args, options = {}) {
  try {
    const { stdout } = await run(program, args, {
      ...options,
      timeout: LIMIT_MS,
      killSignal: "SIGKILL",
      maxBuffer: 2 ** 26,
    });
    return stdout;
  } catch (error) {
    const { stdout = "", stderr = "", message } = error;
    const text = `${stdout}${stderr}`.trim();
    throw new Error(`${[program, ...args].join(" ")}\n${text || message}`);
  }
}
