// The least that prom-client's cluster metrics cost: 32 workers of 8 metrics, as the primary sees
// them once every worker has answered. What the workers pay to answer, and the messages, are left
// out: cluster_metrics.ts measures the whole.

import { AggregatorRegistry, Counter, Registry } from "prom-client";
import { Fleet } from "./fleet.ts";
import { progress, type Results } from "./results.ts";
import { interleave, timed } from "./rounds.ts";
import { makeRow } from "./row.ts";
import type { Settings } from "./settings.ts";

const WORKERS = 32;
const METRICS = 8;

export async function measureAgainstPromClient(
  folder: string,
  settings: Settings,
  results: Results,
): Promise<void> {
  progress(`samples: ${WORKERS} workers, against prom-client`);
  const fleet = await Fleet.create(folder, WORKERS);
  // The values that the fleet's workers have in their segments.
  const answers = await Promise.all(
    fleet.monitor.sampleByWorker().map(async ({ data }) => {
      const registry = new Registry();
      for (const [name, value] of Object.entries(data)) {
        new Counter({ name, help: name, registers: [registry] }).inc(Number(value));
      }
      return JSON.stringify([await registry.getMetricsAsJSON()]);
    }),
  );
  const aggregate = (): Promise<string> =>
    AggregatorRegistry.aggregate(answers.flatMap((answer) => JSON.parse(answer))).metrics();
  const sample = (): unknown => fleet.monitor.sample();

  const theirs = new Map<string, string>();
  for (const [, name, value] of (await aggregate()).matchAll(/^(\w+) (\S+)$/gm)) {
    theirs.set(name!, rounded(value!));
  }
  const { worker_count: workerCount, ...sums } = fleet.monitor.sample()[fleet.services[0]!]!;
  results.check("workers of prom-client", workerCount, answers.length);
  results.check("fields of prom-client", Object.keys(sums).length, METRICS);
  const ours = Object.entries(sums).map(([name, value]) => [name, rounded(value)] as const);
  results.check("sums of prom-client", Object.fromEntries(ours), Object.fromEntries(theirs));

  const figures = await interleave(
    [timed("sample", sample, settings), timed("prom-client", aggregate, settings)],
    settings,
  );
  const microseconds = (name: string): number[] => figures.get(name)!.map((ns) => ns / 1000);
  results.add(
    makeRow("sample, 32 workers, against prom-client", "µs", microseconds("sample"), {
      rival: {
        name: "prom-client 15 in the primary, without IPC",
        figures: microseconds("prom-client"),
      },
      faster: true,
    }),
  );
  await fleet.monitor.close();
}

/** prom-client adds in float64, which loses the last digits of integers of this size. */
function rounded(value: string | number | bigint): string {
  return Number(value).toPrecision(12);
}
