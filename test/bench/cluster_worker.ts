// cluster_worker.js LIBRARY: a worker of a cluster that counts the same in our metrics and in those
// of prom-client. Told to block, its event loop stands still for that long, while it goes on
// counting: a request that computes for too long.

import cluster from "node:cluster";
import { connect } from "../../host/index.ts";
import { COUNTING, METRICS, PRESENT, valueIn } from "./cluster_metrics.ts";
import { loadPromClient, type PromClientName } from "./libraries.ts";

const { AggregatorRegistry, Counter } = loadPromClient(process.argv[2] as PromClientName);
const log = { debug() {}, info() {}, warn: console.error, error: console.error };
const schema = Object.fromEntries(METRICS.map((name) => [name, "u64"] as const));
const { metrics } = connect({ name: "web", schema, log });
const counters = METRICS.map((name) => new Counter({ name, help: name }));
// From now on, this worker answers.
new AggregatorRegistry();

METRICS.forEach((name, i) => {
  const value = name === PRESENT ? 1 : valueIn(cluster.worker!.id, i);
  metrics[name]!.set(BigInt(value));
  counters[i]!.inc(value);
});

process.on("message", ({ blockMs }: { blockMs?: number }) => {
  if (blockMs === undefined) return;
  const counting = METRICS.indexOf(COUNTING);
  const end = performance.now() + blockMs;
  while (performance.now() < end) {
    metrics[COUNTING]!.increment();
    counters[counting]!.inc();
  }
});
