import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as layout from "../../assembly/layout.ts";
import { projectFile } from "../data.ts";

/** `cc`, and which one it is; null where there is none. */
export function compilerVersion(): string | null {
  try {
    return execFileSync("cc", ["--version"], { encoding: "utf8", stdio: "pipe" }).split("\n")[0]!;
  } catch {
    return null;
  }
}

/** Compiles a file of this folder for the very machine. Throws where `cc` fails. */
export function compile(source: string, folder: string, flags: readonly string[] = []): string {
  const output = join(folder, `${source}${flags.includes("-shared") ? ".so" : ".out"}`);
  const types = Object.entries(layout).filter(([name]) => name.startsWith("TYPE_"));
  const input = fileURLToPath(projectFile(`test/bench/${source}`));
  const definitions = types.map(([name, code]) => `-D${name}=${code}`);
  const all = ["-O3", "-march=native", ...definitions, ...flags, "-o", output, input];
  execFileSync("cc", all, { stdio: "pipe" });
  return output;
}
