// node --expose-gc update_process.js TASK: increments eight metrics in turn, in the segment that it
// is told and in memory of its own, and prints what that cost.

import { getHeapStatistics } from "node:v8";
import { Counter, Registry as PromRegistry } from "prom-client";
import type { Metric } from "../../host/metric.ts";
import { Observer } from "../../host/observer.ts";
import { Registry } from "../../host/registry.ts";
import { Schema } from "../../host/schema.ts";
import { collect } from "./collect.ts";
import { interleave, timed } from "./rounds.ts";
import type { UpdateFigures, UpdateTask } from "./update.ts";

const PASSES = 8192;
const ALLOCATION_PASSES = 100_000;
const ALLOCATION_ROUNDS = 100;

const { path, offset, type, names, settings } = JSON.parse(process.argv[2]!) as UpdateTask;
const schema = Schema.build(Object.fromEntries(names.map((name) => [name, type])));
const [mapped, heap] = [new Registry(schema), new Registry(schema)];
const observer = Observer.open({ path, offset, size: 512, schema });
mapped.attach(observer);
const mappedMetrics = Object.values(mapped.metrics);
const heapMetrics = Object.values(heap.metrics);

/** Eight in turn: one alone would measure how fast a store is forwarded to the next load. */
function increment(metrics: readonly Metric[], passes: number): void {
  for (let i = 0; i < passes; i++) metrics[i & 7]!.increment();
}

const registers = [new PromRegistry()];
const counters = names.map((name) => new Counter({ name, help: name, registers }));
const labelled = names.map((name) => {
  return new Counter({ name: `${name}_by_method`, help: name, labelNames: ["method"], registers });
});

function incrementCounters(passes: number): void {
  for (let i = 0; i < passes; i++) counters[i & 7]!.inc();
}

function incrementLabelled(passes: number): void {
  for (let i = 0; i < passes; i++) labelled[i & 7]!.inc({ method: "GET" });
}

const figures = await interleave(
  [
    timed("mapped", () => increment(mappedMetrics, PASSES), settings),
    timed("heap", () => increment(heapMetrics, PASSES), settings),
    timed("prom-client", () => incrementCounters(PASSES), settings),
    timed("prom-client, one label", () => incrementLabelled(PASSES), settings),
  ],
  settings,
);
const perUpdate = (name: string): number[] => figures.get(name)!.map((ns) => ns / PASSES);
const bytes = bytesAllocated(() => increment(mappedMetrics, ALLOCATION_PASSES));

// Both sides are checked with the code as it was measured.
const count = 1_000_000;
for (const metric of [...mappedMetrics, ...heapMetrics]) metric.set(0);
increment(mappedMetrics, count * names.length);
increment(heapMetrics, count * names.length);
observer.flush();

const result: UpdateFigures = {
  unmapped: observer.mapping === "none" ? observer.mappingReason : null,
  mapped: perUpdate("mapped"),
  heap: perUpdate("heap"),
  promClient: perUpdate("prom-client"),
  promClientLabelled: perUpdate("prom-client, one label"),
  bytes,
  count,
  heapValues: Object.fromEntries(heapMetrics.map(({ name, value }) => [name, value])),
};
process.stdout.write(JSON.stringify(result));

/**
 * Over 10^7 updates, in pieces so small that no collection comes in between and hides what they
 * allocate. What asking for the statistics allocates is taken off, and the median is what an update
 * costs: now and then the engine allocates something of its own.
 */
function bytesAllocated(action: () => void): number {
  const growth = (run: () => void): number => {
    const before = getHeapStatistics().used_heap_size;
    run();
    return getHeapStatistics().used_heap_size - before;
  };
  const nothing = (): void => {};
  const pieces = Array.from({ length: ALLOCATION_ROUNDS }, () => {
    collect?.({ type: "minor" });
    return growth(action) - growth(nothing);
  });
  const typical = pieces.sort((a, b) => a - b)[ALLOCATION_ROUNDS >> 1]!;
  return Math.max(0, typical) / ALLOCATION_PASSES;
}
