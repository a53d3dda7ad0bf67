// Against prom-client's cluster metrics, over real messages between real processes: the primary
// asks every worker, and each of them collects and sends its metrics. Ours reads the file.

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { loadPromClient, type PromClientName, TITLES } from "./libraries.ts";
import { progress, type Results } from "./results.ts";
import { makeRow } from "./row.ts";
import type { Settings } from "./settings.ts";

/** Of each worker, by these names in both. */
export const METRICS: readonly string[] = [
  ...Array.from({ length: 6 }, (_, i) => `field_${i}`),
  "counting",
  "present",
];
/** What a blocked worker goes on incrementing. */
export const COUNTING = "counting";
/** One in each worker, so that the sum tells how many of them are in it. */
export const PRESENT = "present";

/** What a worker has in its i-th metric: exact in prom-client's float64 as well. */
export function valueIn(worker: number, i: number): number {
  return worker * 1_000_003 + i;
}

const SIZES = [1, 8, 32];
/** The scale that the targets speak of. */
const TARGET_SIZE = 32;

/** What cluster_process.ts is told. */
export interface ClusterTask {
  readonly library: PromClientName;
  readonly sizes: readonly number[];
  readonly folder: string;
  readonly settings: Settings;
}

/** What it prints for each size: figures by round, and what both sides read. */
export interface ClusterFigures {
  readonly size: number;
  /** Nanoseconds of a sample, of a sample and its text, and of prom-client's text. */
  readonly sample: readonly number[];
  readonly text: readonly number[];
  readonly scrape: readonly number[];
  /** Nanoseconds that one worker works for one of them; null where the system does not tell. */
  readonly work: { readonly sample: readonly number[]; readonly scrape: readonly number[] } | null;
  readonly values: { readonly ours: object; readonly theirs: object };
}

export function measureClusterMetrics(folder: string, settings: Settings, results: Results): void {
  for (const library of ["prom-client", "@prometheus-io/client"] as const) {
    const name = `${library} cluster metrics`;
    try {
      loadPromClient(library);
    } catch (error) {
      results.skip(`sample, ${TARGET_SIZE} workers, against ${name}`, (error as Error).message);
      continue;
    }
    progress(`samples: clusters of ${SIZES.join(", ")} workers, against ${library}`);
    const task: ClusterTask = { library, sizes: SIZES, folder, settings };
    const program = fileURLToPath(new URL("./cluster_process.js", import.meta.url));
    const command = ["--expose-gc", program, JSON.stringify(task)];
    const stdio = ["ignore", "pipe", "inherit"] as const;
    const text = execFileSync(process.execPath, command, { encoding: "utf8", stdio: [...stdio] });
    for (const figures of JSON.parse(text) as ClusterFigures[]) {
      check(library, figures, results);
      report(library, figures, results);
    }
  }
}

function check(library: PromClientName, { size, values }: ClusterFigures, results: Results): void {
  const ids = Array.from({ length: size }, (_, i) => i + 1);
  const expected = Object.fromEntries(
    METRICS.map((name, i) => {
      const sum = ids.reduce((sum, id) => sum + (name === PRESENT ? 1 : valueIn(id, i)), 0);
      return [name, sum];
    }),
  );
  results.check(`${size} workers of a cluster`, values.ours, expected);
  results.check(`${size} workers of a cluster, ${library}`, values.theirs, expected);
}

function report(library: PromClientName, figures: ClusterFigures, results: Results): void {
  const { size, work } = figures;
  const microseconds = (ns: readonly number[]): number[] => ns.map((figure) => figure / 1000);
  const scrape = { name: `${TITLES[library]} over IPC`, figures: microseconds(figures.scrape) };
  const isTarget = library === "prom-client" && size === TARGET_SIZE;
  const against = `${size} ${size === 1 ? "worker" : "workers"}, against ${library} cluster metrics`;
  const target = isTarget ? { target: { timesFaster: 100 } } : {};
  results.add(
    makeRow(`sample, ${against}`, "µs", microseconds(figures.sample), {
      rival: scrape,
      faster: true,
      ...target,
    }),
    makeRow(`sample as text, ${against}`, "µs", microseconds(figures.text), {
      rival: scrape,
      faster: true,
      ...target,
    }),
  );
  if (size !== TARGET_SIZE) return;
  const workRow = `work of a worker for a sample, ${against}`;
  if (work === null) {
    results.skip(workRow, "no /proc/PID/schedstat");
    return;
  }
  results.add(
    makeRow(workRow, "µs", microseconds(work.sample), {
      rival: { name: scrape.name, figures: microseconds(work.scrape) },
      ...(isTarget && { target: { atMost: 0 } }),
    }),
  );
}
