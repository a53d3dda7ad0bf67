// node blocked_process.js TASK: the primary of four workers of which one blocks. It reads them in
// both ways again and again, and prints what came of it.

import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../support/until.ts";
import { type BlockedTask, type Reading, type Scrape, WORKERS } from "./blocked_worker.ts";
import { Cluster, presentIn } from "./cluster.ts";
import { COUNTING, PRESENT } from "./cluster_metrics.ts";

const { library, folder, blockMs, everyMs } = JSON.parse(process.argv[2]!) as BlockedTask;
const cluster = await Cluster.create(library, folder);
const { monitor } = cluster;
try {
  await cluster.grow(WORKERS);
  const counted = (): number => Number(monitor.sample().web![COUNTING]);
  const before = counted();
  const begun = performance.now();
  cluster.workers[0]!.send({ blockMs });
  await until(() => counted() > before, "the worker has begun to block");

  const scrapes: Promise<Scrape>[] = [];
  for (let at = everyMs / 4; at < blockMs; at += everyMs) {
    await sleep(Math.max(0, begun + at - performance.now()));
    const atMs = performance.now() - begun;
    const count = counted();
    const ours = await read(async () => Number(monitor.sample().web![PRESENT]));
    const theirs = read(async () => presentIn(await cluster.scrape()));
    scrapes.push(theirs.then((theirs) => ({ atMs, ours, theirs, counted: count })));
  }
  process.stdout.write(JSON.stringify(await Promise.all(scrapes)));
} finally {
  await cluster.close();
}

async function read(workersIn: () => Promise<number>): Promise<Reading> {
  const start = performance.now();
  try {
    const workers = await workersIn();
    return { tookMs: performance.now() - start, workers, error: null };
  } catch (error) {
    return { tookMs: performance.now() - start, workers: null, error: (error as Error).message };
  }
}
