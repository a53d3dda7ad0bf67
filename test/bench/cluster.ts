// A real cluster whose workers both answer prom-client's requests and register at our supervisor:
// what is compared are two ways to read the same processes. Only for a process of its own.

import cluster, { type Worker } from "node:cluster";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { AggregatorRegistry, PrometheusContentType } from "prom-client";
import { Supervisor } from "../../host/supervisor.ts";
import { UtilizationMonitor } from "../../host/utilization_monitor.ts";
import { until } from "../support/until.ts";
import { PRESENT } from "./cluster_metrics.ts";
import { loadPromClient, type PromClientName } from "./libraries.ts";

export class Cluster {
  readonly monitor: UtilizationMonitor;
  readonly #supervisor: Supervisor;
  readonly #registry: AggregatorRegistry<PrometheusContentType>;

  private constructor(
    monitor: UtilizationMonitor,
    supervisor: Supervisor,
    registry: AggregatorRegistry<PrometheusContentType>,
  ) {
    this.monitor = monitor;
    this.#supervisor = supervisor;
    this.#registry = registry;
  }

  static async create(library: PromClientName, folder: string): Promise<Cluster> {
    const nothing = (): void => {};
    // Workers that are blocked or stopped are what is looked for.
    const log = { debug: nothing, info: nothing, warn: nothing, error: console.error };
    const place = join(folder, `cluster-${process.pid}`);
    const monitor = new UtilizationMonitor({ path: `${place}.shm`, log });
    const socket = `${place}.ipc`;
    const supervisor = await Supervisor.listen({ socket, monitors: [monitor], log });
    const exec = fileURLToPath(new URL("./cluster_worker.js", import.meta.url));
    cluster.setupPrimary({ exec, args: [library], execArgv: [] });
    const { AggregatorRegistry } = loadPromClient(library);
    return new Cluster(monitor, supervisor, new AggregatorRegistry());
  }

  get workers(): Worker[] {
    return Object.values(cluster.workers!) as Worker[];
  }

  /** Forks until there are that many workers, and waits until both sides know of all of them. */
  async grow(size: number): Promise<void> {
    while (this.workers.length < size) cluster.fork(this.#supervisor.env);
    const ours = (): number => this.monitor.sample().web?.worker_count ?? 0;
    await until(() => ours() === size, `${size} workers registered`, 60_000);
    // A worker that does not listen yet gets the message once it does.
    await until(async () => presentIn(await this.scrape()) === size, `${size} answers`, 60_000);
  }

  /** prom-client's text, once every worker has answered. */
  scrape(): Promise<string> {
    return this.#registry.clusterMetrics();
  }

  async close(): Promise<void> {
    for (const worker of this.workers) worker.process.kill("SIGKILL");
    await this.#supervisor.close();
  }
}

/** How many workers' values are in a text: each adds one. */
export function presentIn(text: string): number {
  return valuesIn(text)[PRESENT] ?? 0;
}

/** The values of a text by their names; they are all without labels. */
export function valuesIn(text: string): Record<string, number> {
  const lines = [...text.matchAll(/^(\w+) (\S+)$/gm)];
  return Object.fromEntries(lines.map(([, name, value]) => [name, Number(value)]));
}
