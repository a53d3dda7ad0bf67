// The metrics of a worker, in the segment that a task names.

import type { Metric } from "../../host/metric.ts";
import { Observer } from "../../host/observer.ts";
import { Registry } from "../../host/registry.ts";
import { Schema } from "../../host/schema.ts";
import type { Segment } from "./update_segment.ts";

/** How many updates are timed at once. */
export const PASSES = 8192;

export interface MappedMetrics {
  readonly schema: Schema;
  readonly observer: Observer;
  readonly metrics: readonly Metric[];
}

export function openMappedMetrics({ path, offset, type, names }: Segment): MappedMetrics {
  const schema = Schema.build(Object.fromEntries(names.map((name) => [name, type])));
  const registry = new Registry(schema);
  const observer = Observer.open({ path, offset, size: 512, schema });
  registry.attach(observer);
  return { schema, observer, metrics: Object.values(registry.metrics) };
}

/** Eight in turn: one alone would measure how fast a store is forwarded to the next load. */
export function increment(metrics: readonly Metric[], passes: number): void {
  for (let i = 0; i < passes; i++) metrics[i & 7]!.increment();
}
