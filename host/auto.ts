/**
 * Automatic instrumentation: `node --import utilization-monitor/auto server.js`.
 *
 * Counts requests and connections of this thread's HTTP servers, measures its event loop, and keeps
 * them visible to a supervisor. An application adds metrics of its own to {@link registry}.
 *
 * @module
 */

import { Instrumentation } from "./auto/instrumentation.ts";
import type { AutoRegistry } from "./auto/registry.ts";

export type {
  AutoRegistry,
  CounterOptions,
  GaugeOptions,
  TextSettings,
} from "./auto/registry.ts";
export type { Histogram } from "./histogram.ts";
export type { HistogramOptions } from "./histogram_definition.ts";
export type { Metric } from "./metric.ts";
export type { Text } from "./text.ts";

/** Two copies of this package in one process, of whatever versions, count once. */
const KEY = Symbol.for("utilization-monitor.auto");
const shared = globalThis as { [KEY]?: { readonly registry: AutoRegistry } };
shared[KEY] ??= Instrumentation.start();

/** The metrics that an application adds to those of its process. */
export const registry: AutoRegistry = shared[KEY].registry;
