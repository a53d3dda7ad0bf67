/**
 * How busy is every worker process on this machine, right now, even when a worker is stuck.
 *
 * Workers: {@link connect}. Supervisors: {@link Supervisor} with a {@link UtilizationMonitor}.
 *
 * @module
 */

export { type Core, type CoreExports, type CoreSource, loadCore } from "./core.ts";
export type { Aggregate, Field, FieldOptions, Kind } from "./field.ts";
export type { FieldType, FieldTypeAlias } from "./field_type.ts";
export { Histogram } from "./histogram.ts";
export type { HistogramDefinition, HistogramOptions } from "./histogram_definition.ts";
export { Inspection } from "./inspection.ts";
export type { IntervalLoop } from "./interval_loop.ts";
export type { MonitorLimits, SupervisorLimits } from "./limits.ts";
export { type Logger, stderrLogger } from "./log.ts";
export type { MappingName } from "./mapping/name.ts";
export type { Metric } from "./metric.ts";
export { Observer, type ObserverOptions } from "./observer.ts";
export { Namespace, Registry } from "./registry.ts";
export type {
  HistogramSample,
  HistogramSamples,
  Sample,
  SampleOptions,
  ServiceData,
  Status,
  StatusOptions,
  WorkerSample,
} from "./sample.ts";
export {
  type FieldDefinition,
  type MetricName,
  type Row,
  Schema,
  type SchemaDefinition,
  type TextDefinition,
  type TextName,
} from "./schema.ts";
export {
  type Allocation,
  SegmentAllocator,
  type SegmentAllocatorOptions,
} from "./segment_allocator.ts";
export type { MonitorStatistics } from "./statistics.ts";
export { type Monitor, Supervisor, type SupervisorOptions } from "./supervisor.ts";
export type { Text } from "./text.ts";
export type { TextField, TextOptions, Texts, TextType } from "./text_field.ts";
export { UtilizationMonitor, type UtilizationMonitorOptions } from "./utilization_monitor.ts";
export type { Value } from "./value.ts";
export { type ConnectOptions, connect, Worker, type WorkerOptions } from "./worker.ts";
export type { WorkerController, WorkerProxy } from "./worker_controller.ts";
