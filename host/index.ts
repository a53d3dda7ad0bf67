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
export { Inspection } from "./inspection.ts";
export type { IntervalLoop } from "./interval_loop.ts";
export type { MonitorLimits, SupervisorLimits } from "./limits.ts";
export { type Logger, stderrLogger } from "./log.ts";
export type { MappingName } from "./mapping/index.ts";
export type { Metric } from "./metric.ts";
export { Observer, type ObserverOptions } from "./observer.ts";
export { Namespace, Registry } from "./registry.ts";
export type { ServiceData } from "./reports.ts";
export type { Sample, SampleOptions, Status, StatusOptions, WorkerSample } from "./sample.ts";
export type { Value } from "./sampler.ts";
export { type FieldDefinition, type Row, Schema, type SchemaDefinition } from "./schema.ts";
export {
  type Allocation,
  SegmentAllocator,
  type SegmentAllocatorOptions,
} from "./segment_allocator.ts";
export { type Monitor, Supervisor, type SupervisorOptions } from "./supervisor.ts";
export { UtilizationMonitor, type UtilizationMonitorOptions } from "./utilization_monitor.ts";
export { type ConnectOptions, connect, Worker, type WorkerOptions } from "./worker.ts";
export type { WorkerController, WorkerProxy } from "./worker_controller.ts";
