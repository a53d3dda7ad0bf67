// Eight counters of another library, as its documentation has one increment them.

import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import type { PromClient } from "./libraries.ts";

/** Twice as many as there are names: without labels, and with one. */
export interface Counters {
  /** That many increments by one, of the counters in turn. */
  plain(passes: number): void;
  labelled(passes: number): void;
  /** What an exporter would read: the counters without labels, then those with one. */
  values(): Promise<number[]>;
}

export function promClientCounters(
  { Counter, Registry }: PromClient,
  names: readonly string[],
): Counters {
  const registers = [new Registry()];
  const counters = names.map((name) => new Counter({ name, help: name, registers }));
  const labelled = names.map((name) => {
    const labelNames = ["method"];
    return new Counter({ name: `${name}_by_method`, help: name, labelNames, registers });
  });
  return {
    plain(passes) {
      for (let i = 0; i < passes; i++) counters[i & 7]!.inc();
    },
    labelled(passes) {
      for (let i = 0; i < passes; i++) labelled[i & 7]!.inc({ method: "GET" });
    },
    async values() {
      const read = [...counters, ...labelled].map(async (counter) => {
        const { values } = await counter.get();
        return values.reduce((sum, { value }) => sum + value, 0);
      });
      return await Promise.all(read);
    },
  };
}

/** Without a reader, a meter counts nothing. */
class PullReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

export function openTelemetryCounters(names: readonly string[]): Counters {
  const reader = new PullReader();
  const meter = new MeterProvider({ readers: [reader] }).getMeter("bench");
  const labelledNames = names.map((name) => `${name}_by_method`);
  const counters = names.map((name) => meter.createCounter(name));
  const labelled = labelledNames.map((name) => meter.createCounter(name));
  return {
    plain(passes) {
      for (let i = 0; i < passes; i++) counters[i & 7]!.add(1);
    },
    labelled(passes) {
      for (let i = 0; i < passes; i++) labelled[i & 7]!.add(1, { method: "GET" });
    },
    async values() {
      const { resourceMetrics, errors } = await reader.collect();
      if (errors.length > 0) throw errors[0];
      const found = new Map<string, number>();
      for (const { metrics } of resourceMetrics.scopeMetrics) {
        for (const { descriptor, dataPoints } of metrics) {
          found.set(
            descriptor.name,
            dataPoints.reduce((sum, { value }) => sum + Number(value), 0),
          );
        }
      }
      return [...names, ...labelledNames].map((name) => found.get(name) ?? 0);
    },
  };
}
