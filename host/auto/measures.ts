// What is looked at once a second: the event loop of this thread, and what the process uses.

import {
  type EventLoopUtilization,
  type IntervalHistogram,
  monitorEventLoopDelay,
  performance,
} from "node:perf_hooks";
import type { Metric } from "../metric.ts";
import type { ProcessField, ThreadField } from "./fields.ts";

/** How often the delay is sampled. Each sample wakes the process up. */
const RESOLUTION_MS = 20;

export type MeasuredMetrics = { readonly [Name in ThreadField]: Metric } & {
  readonly [Name in Exclude<ProcessField, ThreadField>]?: Metric;
};

export class Measures {
  readonly #metrics: MeasuredMetrics;
  #utilization: EventLoopUtilization | null = null;
  #delays: IntervalHistogram | null = null;

  constructor(metrics: MeasuredMetrics) {
    this.#metrics = metrics;
  }

  /** Measures the time since the last call; the first call begins. */
  take(): void {
    this.#takeUtilization();
    this.#takeDelay();
    const { heap_used_bytes, rss_bytes, cpu_seconds_total } = this.#metrics;
    heap_used_bytes.set(process.memoryUsage().heapUsed);
    rss_bytes?.set(process.memoryUsage.rss());
    if (cpu_seconds_total === undefined) return;
    const { user, system } = process.cpuUsage();
    cpu_seconds_total.set((user + system) / 1e6);
  }

  /** Nobody looks: samples of the delay would wake the process up for nothing. */
  pause(): void {
    this.#utilization = null;
    this.#delays?.disable();
    this.#delays = null;
  }

  #takeUtilization(): void {
    const now = performance.eventLoopUtilization();
    if (this.#utilization !== null) {
      const { utilization } = performance.eventLoopUtilization(now, this.#utilization);
      this.#metrics.event_loop_utilization.set(Math.min(Math.max(utilization, 0), 1));
    }
    this.#utilization = now;
  }

  #takeDelay(): void {
    if (this.#delays === null) {
      this.#delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
      this.#delays.enable();
      return;
    }
    // What is recorded is the time between two samples: what is beyond the resolution is delay.
    const between = this.#delays.percentile(99) / 1e6;
    this.#metrics.event_loop_delay_seconds.set(Math.max(between - RESOLUTION_MS, 0) / 1000);
    this.#delays.reset();
  }
}
