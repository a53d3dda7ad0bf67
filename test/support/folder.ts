import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { afterTest, type Test } from "./after_test.ts";

/** A new folder of the calling suite's own, removed when the suite has ended. */
export function ownFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "um-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The same for a single test. */
export function temporaryFolder(test: Test): string {
  const folder = mkdtempSync(join(tmpdir(), "um-"));
  afterTest(test, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
