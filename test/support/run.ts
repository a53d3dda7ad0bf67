import { chmodSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Exit, type Process, startCli } from "../fixtures/cli_process.ts";
import type { Test } from "./after_test.ts";
import { temporaryFolder } from "./folder.ts";

/** "utilization run" with a folder of its own. */
export class Run {
  readonly folder: string;
  readonly process: Process;

  constructor(
    test: Test,
    words: readonly string[],
    { env = {}, folder = temporaryFolder(test) }: { env?: NodeJS.ProcessEnv; folder?: string } = {},
  ) {
    this.folder = folder;
    this.process = startCli(test, ["run", ...words], {
      NODE_OPTIONS: "",
      UTILIZATION_NAME: "",
      UTILIZATION_DIR: this.supervisorFolder,
      ...env,
    });
  }

  /** Is not there before, and must not be there after. */
  get supervisorFolder(): string {
    return join(this.folder, "supervisor");
  }

  get socket(): string {
    return join(this.supervisorFolder, "default.ipc");
  }

  get lines(): string[] {
    return this.process.lines;
  }

  get log(): string {
    return this.process.stderr;
  }

  until(what: string, condition: () => boolean): Promise<void> {
    return this.process.until(what, condition);
  }

  get exit(): Promise<Exit> {
    return this.process.exit;
  }

  /** What it has left behind. */
  get remains(): string[] {
    return existsSync(this.supervisorFolder) ? readdirSync(this.supervisorFolder) : [];
  }

  /** The numbers behind a word, in the order in which workers have printed them. */
  numbers(word: string): number[] {
    const pattern = new RegExp(`\\b${word} (\\d+)`, "g");
    return [...this.process.stdout.matchAll(pattern)].map(([, digits]) => Number(digits));
  }
}

/** A command of a language that knows nothing of us: a shell script. */
export function script(folder: string, name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}
