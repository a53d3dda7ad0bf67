// node --expose-gc update_process.js TASK: increments eight metrics in turn, in the segment that it
// is told and in memory of its own, and prints what that cost.

import { getHeapStatistics } from "node:v8";
import { Registry } from "../../host/registry.ts";
import { collect } from "./collect.ts";
import { increment, openMappedMetrics, PASSES } from "./mapped_metrics.ts";
import { interleave, timed, warmUp } from "./rounds.ts";
import type { UpdateFigures } from "./update.ts";
import type { UpdateTask } from "./update_segment.ts";

const ALLOCATION_PASSES = 100_000;
const ALLOCATION_ROUNDS = 100;

const task = JSON.parse(process.argv[2]!) as UpdateTask;
const { names, settings } = task;
const { schema, observer, metrics: mappedMetrics } = openMappedMetrics(task);
const heapMetrics = Object.values(new Registry(schema).metrics);

const mapped = (): void => increment(mappedMetrics, PASSES);
const heap = (): void => increment(heapMetrics, PASSES);
warmUp(settings, mapped, heap);
const figures = await interleave(
  [timed("mapped", mapped, settings), timed("heap", heap, settings)],
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
  bytes,
  count,
  others: { "on the heap": heapMetrics.map(({ value }) => Number(value)) },
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
