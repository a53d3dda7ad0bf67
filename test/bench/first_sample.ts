// The first sample in a fresh process, when nothing is compiled yet.

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { progress, type Results } from "./results.ts";
import { makeRow } from "./row.ts";
import type { Settings } from "./settings.ts";

/** What first_sample_process.ts prints. */
export interface FirstSample {
  /** Milliseconds of the first `sample()`. */
  readonly first: number;
  /** Milliseconds from the start of the process until it was there. */
  readonly sinceStart: number;
  readonly sums: Record<string, number>;
}

export const WORKERS = 64;

export function measureFirstSample(folder: string, settings: Settings, results: Results): void {
  progress(`first sample: ${settings.processes} processes`);
  const program = fileURLToPath(new URL("./first_sample_process.js", import.meta.url));
  const samples = Array.from({ length: settings.processes }, () => {
    const text = execFileSync(process.execPath, [program, folder], { encoding: "utf8" });
    return JSON.parse(text) as FirstSample;
  });
  for (const { sums } of samples) {
    const expected = { field_0: (WORKERS * (WORKERS - 1)) / 2, worker_count: WORKERS };
    results.check("first sample", sums, expected);
  }
  results.add(
    makeRow(
      "first sample, 64 workers, fresh process",
      "ms",
      samples.map(({ first }) => first),
      { target: { atMost: 5 } },
    ),
    makeRow(
      "start of a process to its first sample, 64 workers",
      "ms",
      samples.map(({ sinceStart }) => sinceStart),
    ),
  );
}
