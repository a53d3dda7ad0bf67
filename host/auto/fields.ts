// What is measured without being asked for. The first line of a segment holds all of it, but the
// histogram: that one is added behind the heartbeat, as the metrics of an application are.

import type { HistogramOptions } from "../histogram_definition.ts";
import type { FieldDefinition } from "../schema.ts";

export const DURATION = "request_duration_seconds";
export const DURATION_OPTIONS: HistogramOptions = {
  unit: "seconds",
  help: "Time from the start of an HTTP request to the end of its response",
};

export type ThreadField =
  | "requests_active"
  | "connections_active"
  | "requests_total"
  | "connections_total"
  | "event_loop_utilization"
  | "event_loop_delay_seconds"
  | "heap_used_bytes";

export type ProcessField = ThreadField | "rss_bytes" | "cpu_seconds_total";

/** Of each thread. */
export const THREAD_FIELDS: Readonly<Record<ThreadField, FieldDefinition>> = {
  requests_active: { type: "u32", help: "HTTP requests whose response is not finished" },
  // Clients keep connections open as long as they like: that is no leak.
  connections_active: { type: "u32", counter: "", help: "Open connections of HTTP servers" },
  requests_total: { type: "u64", help: "HTTP requests received" },
  connections_total: { type: "u64", help: "Connections that HTTP servers have accepted" },
  event_loop_utilization: {
    type: "f64",
    help: "Part of the last second that the event loop did not wait, 0 to 1",
  },
  event_loop_delay_seconds: {
    type: "f64",
    aggregate: "max",
    unit: "seconds",
    help: "How late timers were in the last second, 99th percentile",
  },
  heap_used_bytes: { type: "u64", unit: "bytes", help: "Memory in use by JavaScript objects" },
};

/** Of the main thread: what a process has once, whatever its threads do, is counted there alone. */
export const PROCESS_FIELDS: Readonly<Record<ProcessField, FieldDefinition>> = {
  ...THREAD_FIELDS,
  rss_bytes: { type: "u64", unit: "bytes", help: "Memory of the process" },
  cpu_seconds_total: {
    type: "f64",
    unit: "seconds",
    help: "Processor time of the process, all its threads",
  },
};
