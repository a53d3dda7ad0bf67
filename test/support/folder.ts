import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

/** A new folder of the calling suite's own, removed when the suite has ended. */
export function ownFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "um-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The same for a single test. */
export function temporaryFolder(test: { after(action: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "um-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
