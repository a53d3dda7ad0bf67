// Whether files are mapped here, tried on a small one.

import { randomBytes } from "node:crypto";
import { accessSync, constants, existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { LOCATION } from "../../location.ts";
import { openFile, selectMapping } from "../../mapping/index.ts";
import { type Findings, word } from "./findings.ts";

const TRIAL_BYTES = 4096;
/** Clocks that differ by more have supervisors judge wrongly how old a file is. */
const CLOCK_MS = 5000;

/** Maps a file in the folder, or where one can be written. */
export async function checkMapping(findings: Findings, folder: string): Promise<void> {
  let selected: ReturnType<typeof selectMapping>;
  try {
    selected = selectMapping();
  } catch (error) {
    findings.error("mapping", (error as Error).message, "unset UTILIZATION_MAPPING");
    return;
  }
  const { mapping, reason } = selected;
  if (mapping === "none") {
    const message = `File I/O: ${reason}. Values of a blocked worker stand still`;
    findings.warning("mapping", message, remedy(reason));
  }
  const where = writable(folder);
  const path = join(where, `.doctor-${randomBytes(4).toString("hex")}`);
  // By the file system of Node.js: on Deno, what that may not write it could not remove either.
  try {
    writeFileSync(path, new Uint8Array(TRIAL_BYTES), { flag: "wx", mode: 0o600 });
    const skew = statSync(path).mtimeMs - Date.now();
    const problem = mapping === "none" ? null : tryOut(path);
    const name = [mapping, versionOf(mapping)].filter(Boolean).join(" ");
    if (problem !== null) findings.error("mapping", `${name}: ${problem}`, otherPlace(where));
    else if (mapping !== "none") findings.ok("mapping", `${name}: a store is seen in "${where}"`);
    if (Math.abs(skew) > CLOCK_MS) {
      const message = `That of the file system of "${where}" is ${Math.round(skew / 1000)} s off`;
      findings.warning("clock", message, "a folder of this machine's own, in memory");
    }
  } finally {
    rmSync(path, { force: true });
  }
}

/** What goes wrong when a file is mapped, written through the mapping, and read. */
function tryOut(path: string): string | null {
  const writer = openFile(path, { write: true });
  try {
    const view = writer.map(0, TRIAL_BYTES)!;
    const sent = randomBytes(16);
    view.set(sent, TRIAL_BYTES - sent.length);
    const reader = openFile(path, { write: false, mapping: "none" });
    const seen = new Uint8Array(sent.length);
    reader.read(seen, TRIAL_BYTES - seen.length);
    reader.close();
    writer.unmap(view);
    return sent.equals(seen) ? null : "a store through it is not seen by others";
  } catch (error) {
    return (error as Error).message;
  } finally {
    writer.close();
  }
}

function remedy(reason: string): string {
  if (reason.includes("UTILIZATION_MAPPING")) return "unset UTILIZATION_MAPPING";
  return "Deno" in globalThis ? "deno run --allow-ffi" : "npm install koffi";
}

function otherPlace(folder: string): string {
  return `UTILIZATION_DIR=… in place of ${word(folder)}, on a file system in memory`;
}

/** The folder, the one that it would be made in, or that of temporary files. */
function writable(folder: string): string {
  const found = [folder, dirname(folder)].find((path) => existsSync(path)) ?? tmpdir();
  try {
    accessSync(found, constants.W_OK | constants.X_OK);
    return found;
  } catch {
    return tmpdir();
  }
}

function versionOf(mapping: string): string {
  if (mapping !== "koffi" && mapping !== "mmap-io") return "";
  try {
    const { version } = createRequire(LOCATION)(`${mapping}/package.json`);
    return String(version);
  } catch {
    return "";
  }
}
