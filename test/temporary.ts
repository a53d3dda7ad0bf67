import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger } from "../host/log.ts";

/** A folder of the test's own, removed after it. */
export function temporaryFolder(test: { after(action: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "utilization-test-"));
  test.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A logger that keeps what it is told. */
export function recordingLogger(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const record = (message: string): void => {
    lines.push(message);
  };
  return { lines, debug: record, info: record, warn: record, error: record };
}
