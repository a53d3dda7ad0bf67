// What many registered workers cost the supervisor when nothing happens, and when they leave. They
// are simulated in process: what is measured is our own, without sockets.

import { collect } from "./collect.ts";
import { Fleet } from "./fleet.ts";
import { progress, type Results } from "./results.ts";
import { median } from "./rounds.ts";
import { makeRow } from "./row.ts";
import type { Settings } from "./settings.ts";

const MOST_BYTES = 1024;

export async function measureRegistered(
  folder: string,
  settings: Settings,
  results: Results,
): Promise<void> {
  const size = Math.max(...settings.sizes);
  progress(`memory and removal: ${size} workers`);
  await measureMemory(folder, size, results);
  await measureRemoval(folder, size, results);
}

/** A first fleet has compiled the code and filled the caches of the engine before it counts. */
async function measureMemory(folder: string, size: number, results: Results): Promise<void> {
  const name = "memory per idle worker";
  if (collect === undefined) return results.skip(name, "needs --expose-gc");
  await (await Fleet.create(folder, 1000)).close();
  const before = usedBytes();
  const workers = Fleet.controllers(size, 1, asOurs);
  const afterStates = usedBytes();
  const fleet = await Fleet.create(folder, size, 1, workers);
  const perWorker = (usedBytes() - afterStates) / size;
  results.check("workers of the fleet", fleet.monitor.sample().service_0!.worker_count, size);
  results.add(makeRow(name, "B", [perWorker], { target: { atMost: MOST_BYTES } }));
  results.add(makeRow("memory per idle worker, its state", "B", [(afterStates - before) / size]));
  await fleet.close();
}

/** What our own workers tell besides name and incarnation. */
function asOurs(index: number): Readonly<Record<string, unknown>> {
  return {
    wire: 1,
    start_time: String(2_000_000 + index),
    mapping: "koffi",
    // None beats: so late that nobody is judged by it.
    heartbeat: { offset: 64, interval_ms: 600_000 },
  };
}

/** Of heap and of memory outside: the core's tables, and views of files but not their pages. */
function usedBytes(): number {
  for (let i = 0; i < 3; i++) collect!();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Workers leave in the order in which they came, as in a rolling restart. */
async function measureRemoval(folder: string, size: number, results: Results): Promise<void> {
  const fleet = await Fleet.create(folder, size);
  const times: number[] = [];
  const step = size / 100;
  for (let first = 0; first < size; first += step) {
    const start = performance.now();
    for (let i = first; i < first + step; i++) fleet.monitor.unregister(fleet.controllers[i]!);
    fleet.monitor.sample();
    times.push((performance.now() - start) / step);
  }
  results.check("workers left", Object.keys(fleet.monitor.sample()).length, 0);
  await fleet.close();
  const microseconds = (from: number): number[] =>
    times.slice(from, from + 10).map((milliseconds) => milliseconds * 1000);
  const early = [median(microseconds(10))];
  results.add(
    makeRow(`removal in process, last of ${size}`, "µs", microseconds(90), {
      rival: { name: "the second tenth of them", figures: early },
      target: { timesRival: 2 },
    }),
  );
}
