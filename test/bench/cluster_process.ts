// node --expose-gc cluster_process.js TASK: the primary of a growing cluster, which reads its
// workers in both ways and prints what that cost.

import { readFileSync } from "node:fs";
import { until } from "../support/until.ts";
import { Cluster, valuesIn } from "./cluster.ts";
import { type ClusterFigures, type ClusterTask, METRICS } from "./cluster_metrics.ts";
import { interleave, repeated, timed } from "./rounds.ts";

const { library, sizes, folder, settings } = JSON.parse(process.argv[2]!) as ClusterTask;
const cluster = await Cluster.create(library, folder);
const { monitor } = cluster;
try {
  const result: ClusterFigures[] = [];
  for (const size of sizes) result.push(await measure(size));
  process.stdout.write(JSON.stringify(result));
} finally {
  await cluster.close();
}

async function measure(size: number): Promise<ClusterFigures> {
  await cluster.grow(size);
  const figures = await interleave(
    [
      timed("sample", () => monitor.sample(), settings),
      timed("text", () => monitor.stringify(), settings),
      repeated("scrape", () => timeOf(() => cluster.scrape()), settings),
    ],
    settings,
  );
  const web = monitor.sample().web!;
  const theirs = valuesIn(await cluster.scrape());
  return {
    size,
    sample: figures.get("sample")!,
    text: figures.get("text")!,
    scrape: figures.get("scrape")!,
    // The larger a cluster, the longer a round: the largest will do.
    work: size === sizes.at(-1) ? await measureWork() : null,
    values: {
      ours: Object.fromEntries(METRICS.map((name) => [name, Number(web[name])])),
      theirs: Object.fromEntries(METRICS.map((name) => [name, theirs[name]])),
    },
  };
}

async function timeOf(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await action();
  return (performance.now() - start) * 1e6;
}

/**
 * What the workers do for a reading. Ours is taken while all of them are stopped, so that their
 * own timers do not count, and nothing can be asked of them.
 */
async function measureWork(): Promise<ClusterFigures["work"]> {
  const pids = cluster.workers.map(({ process: { pid } }) => pid!);
  if (pids.some((pid) => processorTime(pid) === null)) return null;
  const each = async (read: () => unknown): Promise<number> => {
    const total = (): number => pids.reduce((sum, pid) => sum + processorTime(pid)!, 0);
    const before = total();
    const end = performance.now() + settings.milliseconds;
    let count = 0;
    do {
      await read();
      count++;
    } while (performance.now() < end);
    return (total() - before) / count / pids.length;
  };
  const sample = async (): Promise<number> => {
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    try {
      await until(() => pids.every(isStopped), "all workers stopped");
      return await each(() => monitor.sample());
    } finally {
      for (const pid of pids) process.kill(pid, "SIGCONT");
    }
  };
  const contestants = [
    { name: "sample", run: sample },
    { name: "scrape", run: () => each(() => cluster.scrape()) },
  ];
  const figures = await interleave(contestants, settings);
  return { sample: figures.get("sample")!, scrape: figures.get("scrape")! };
}

/** Nanoseconds that the main thread of a process has run. */
function processorTime(pid: number): number | null {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]);
  } catch {
    return null;
  }
}

function isStopped(pid: number): boolean {
  return /^\d+ \(.*\) T/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}
