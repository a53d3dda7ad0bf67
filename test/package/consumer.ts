// A program that uses every public export. The smoke test compiles it against the types of the packed
// package, in the place of these sources, and runs it.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type AutoRegistry,
  type CounterOptions,
  type GaugeOptions,
  registry,
  type TextSettings,
} from "../../host/auto.ts";
import { HttpServer, type HttpServerOptions } from "../../host/http/server.ts";
import {
  type Aggregate,
  type Allocation,
  type ConnectOptions,
  type Core,
  type CoreExports,
  type CoreSource,
  connect,
  type Field,
  type FieldDefinition,
  type FieldOptions,
  type FieldType,
  type FieldTypeAlias,
  type Histogram,
  type HistogramDefinition,
  type HistogramOptions,
  type HistogramSample,
  type HistogramSamples,
  Inspection,
  type IntervalLoop,
  type Kind,
  type Logger,
  loadCore,
  type MappingName,
  type Metric,
  type MetricName,
  type Monitor,
  type MonitorLimits,
  type MonitorStatistics,
  type Namespace,
  Observer,
  type ObserverOptions,
  Registry,
  type Row,
  type Sample,
  type SampleOptions,
  Schema,
  type SchemaDefinition,
  SegmentAllocator,
  type SegmentAllocatorOptions,
  type ServiceData,
  type Status,
  type StatusOptions,
  Supervisor,
  type SupervisorLimits,
  type SupervisorOptions,
  stderrLogger,
  type Text,
  type TextDefinition,
  type TextField,
  type TextName,
  type TextOptions,
  type Texts,
  type TextType,
  UtilizationMonitor,
  type UtilizationMonitorOptions,
  type Value,
  Worker,
  type WorkerController,
  type WorkerOptions,
  type WorkerProxy,
  type WorkerSample,
} from "../../host/index.ts";
import {
  type Attributes,
  type BatchCallback,
  type BatchResult,
  type ExportOptions,
  exportMetrics,
  type InstrumentOptions,
  type Meter,
  type MetricsExport,
  type Observable,
} from "../../host/opentelemetry/bridge.ts";
import {
  addMonitors,
  CONTENT_TYPES,
  type MetricFamily,
  type MetricSample,
  type MetricsFormat,
  type MetricsTextOptions,
  type MetricType,
  metricFamilies,
  metricsText,
  type PrometheusOptions,
  type PrometheusRegistry,
  preferredFormat,
} from "../../host/prometheus.ts";

const ignore = (): void => {};
const log: Logger = { ...stderrLogger, debug: ignore, info: ignore, warn: ignore };
const folder = mkdtempSync(join(tmpdir(), "consumer-"));
try {
  embedTheCore();
  countInASegment();
  timeWhatIsDone();
  addToTheAutomaticOnes();
  await superviseAWorker();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function embedTheCore(): void {
  const url = new URL(import.meta.resolve("utilization-monitor/core.wasm"));
  const simd = new URL(import.meta.resolve("utilization-monitor/core.simd.wasm"));
  const sources: CoreSource[] = [url, readFileSync(url), simd];
  const cores: Core[] = [loadCore(), ...sources.map(loadCore)];
  for (const { exports, bytes } of cores) {
    const { version, ABI_MAJOR, ABI_MINOR, memory }: CoreExports = exports;
    assert.equal(version(), (ABI_MAJOR.value << 16) | ABI_MINOR.value);
    assert.equal(bytes.buffer, memory.buffer);
  }
}

function countInASegment(): void {
  const type: FieldType = "u64";
  const alias: FieldTypeAlias = "i32";
  const kind: Kind = "gauge";
  const aggregate: Aggregate = "max";
  const options: FieldOptions = { kind, aggregate, unit: "celsius" };
  const temperature: FieldDefinition = { ...options, type: alias };
  const definition: SchemaDefinition = { requests_total: type, temperature };
  const schema: Schema = Schema.build(definition);
  const rows: Row[] = schema.toRows();
  const field: Field | undefined = schema.field("temperature");
  assert.deepEqual([field?.type, field?.offset, rows.length], ["s32", 8, 2]);

  const textOptions: TextOptions = { help: "What runs" };
  const textType: TextType = "str32";
  const version: TextDefinition = { ...textOptions, type: textType };
  const withText = Schema.build({ requests_total: "u64", version });
  const [text]: readonly TextField[] = withText.texts;
  const textName: TextName<{ readonly version: "str32"; readonly load: "f64" }> = "version";
  assert.deepEqual([text?.name, text?.type, text?.offset], [textName, "str32", 12]);

  const path = join(folder, "own.shm");
  const allocatorOptions: SegmentAllocatorOptions = { segmentSize: 128 };
  const allocator = new SegmentAllocator(path, allocatorOptions);
  const offset = allocator.allocate(1);
  assert.ok(offset !== null && allocator.updateSchema(1, rows));
  const allocation: Allocation | null = allocator.allocation(1);
  assert.equal(allocation?.offset, offset);

  const registry = new Registry(schema, { log });
  const observerOptions: ObserverOptions = { path, size: 128, offset, schema, log };
  const observer: Observer = Observer.open(observerOptions);
  registry.attach(observer);
  const requests: Namespace = registry.namespace("requests");
  const total: Metric = requests.metric("total");
  total.increment(3);
  observer.flush();
  const values: Record<string, Value> | null = allocator.read(1);
  assert.equal(values?.requests_total, 3);
  observer.close();
  allocator.close({ unlink: true });
}

function timeWhatIsDone(): void {
  const seconds: HistogramDefinition = { type: "histogram", buckets: [0.1, 1], unit: "seconds" };
  const definition = { requests_total: "u64", seconds } as const;
  const name: MetricName<typeof definition> = "requests_total";
  const own = new Registry(Schema.build(definition), { log });
  own.metrics[name].increment();
  const options: HistogramOptions = { buckets: [0.1, 1] };
  const histogram: Histogram = own.histogram("seconds", options);
  assert.equal(
    histogram.time(() => 5),
    5,
  );
  histogram.observe(0.5);
  assert.deepEqual([histogram.count, histogram.buckets], [2, [0.1, 1]]);
  const nothing: HistogramSample<number> = { count: 0, p50: null, p90: null, p99: null };
  const samples: HistogramSamples<number> = { web: { seconds: nothing } };
  const status: Pick<Status<number>, "histograms"> = { histograms: samples };
  assert.equal(status.histograms?.web?.seconds?.count, 0);
}

function addToTheAutomaticOnes(): void {
  const added: AutoRegistry = registry;
  const counterOptions: CounterOptions = { type: "u32", help: "Orders that were taken" };
  const gaugeOptions: GaugeOptions = { aggregate: "max", unit: "seconds" };
  const orders: Metric = added.counter("orders_total", counterOptions);
  added.histogram("order_seconds").observe(0.2);
  orders.increment(2);
  added.gauge("oldest_order_seconds", gaugeOptions).set(1.5);
  assert.equal(added.counter("orders_total", counterOptions).value, 2);
  const textSettings: TextSettings = { type: "str16", help: "What runs" };
  const version: Text = added.text("version", "1.2.3", textSettings);
  assert.equal(version.value, "1.2.3");
  // @ts-expect-error: a counter is summed.
  added.counter("other_total", { aggregate: "sum" });
}

async function superviseAWorker(): Promise<void> {
  const socket = join(folder, "own.ipc");
  const few: MonitorLimits = { services: 10 };
  const path = join(folder, "sup.shm");
  const monitorOptions: UtilizationMonitorOptions = { path, limits: few, log };
  const monitor = new UtilizationMonitor(monitorOptions);
  const asMonitor: Monitor = monitor;
  const limits: SupervisorLimits = { workers: 10 };
  const supervisorOptions: SupervisorOptions = { socket, monitors: [asMonitor], limits, log };
  const supervisor = await Supervisor.listen(supervisorOptions);

  const schema = { requests_total: "u64", load: "f64" } as const;
  const options: ConnectOptions<typeof schema> = { name: "web", socket, schema, flushMs: 5, log };
  const worker: Worker<"requests_total" | "load"> = connect(options);
  worker.metrics.requests_total.increment(7);
  // @ts-expect-error: the names are known.
  assert.equal(worker.metrics.request_total, undefined);
  const registry = new Registry(Schema.build(schema), { log });
  const workerOptions: WorkerOptions<"requests_total" | "load"> = { registry, socket, log };
  const other = new Worker(workerOptions).run();

  const mapping: MappingName | null = await untilCounted(monitor, worker);
  const [first]: WorkerSample<number>[] = monitor.sampleByWorker();
  assert.equal(first?.mapping, mapping);
  const sample: Sample<number> = monitor.sample();
  const web: ServiceData | undefined = sample.web;
  const count: number | undefined = web?.worker_count;
  const exactly: SampleOptions = { bigint: true };
  const exact: Sample = monitor.totals(exactly);
  assert.deepEqual([count, sample.web?.requests_total, exact.web?.requests_total], [1, 7, 7n]);
  const statusOptions: StatusOptions = { ...exactly, totals: true };
  const status: Status = monitor.status(statusOptions);
  assert.equal(status.totals?.web?.requests_total, 7n);

  const proxy: WorkerProxy = { setupUtilizationObserver: async () => [["calls_total", "u64", 0]] };
  const controller: WorkerController = { id: 99, processId: null, state: {}, worker: proxy };
  await monitor.register(controller);
  assert.equal(monitor.sample().unknown?.calls_total, 0);

  const httpOptions: HttpServerOptions = { supervisor, monitors: [monitor], address: ":0", log };
  const http: HttpServer = await HttpServer.listen(httpOptions);
  const metrics = await (await fetch(`${http.url}metrics`)).text();
  assert.match(metrics, /^utilization_requests_total\{service="web"\} 7$/m);
  assert.match(await (await fetch(http.url)).text(), /^<!doctype html>/);
  await http.close();
  readAsMetrics(monitor, supervisor);

  const texts: Record<string, Texts> = monitor.text();
  assert.deepEqual([Object.keys(texts), Object.keys(monitor.leaking())], [[], []]);
  collectForOpenTelemetry({ supervisor, monitors: [monitor], log });

  const inspection = Inspection.open(monitor.path);
  const inspected: Sample<number> = inspection.totals();
  assert.equal(inspected.web?.requests_total, 7);
  inspection.close();

  const loop: IntervalLoop<Sample<number>> = monitor.run();
  for await (const round of loop) {
    assert.equal(round.web?.requests_total, 7);
    loop.stop();
  }
  await Promise.all([worker.close(), other.close()]);
  await supervisor.close();
}

function readAsMetrics(monitor: UtilizationMonitor, supervisor: Supervisor): void {
  const statistics: MonitorStatistics | null = monitor.statistics();
  assert.ok(statistics !== null && statistics.segmentsUsed >= 1);
  const options: PrometheusOptions = { supervisor, namespace: "app" };
  const format: MetricsFormat = preferredFormat("application/openmetrics-text");
  assert.match(CONTENT_TYPES[format], /^application/);
  const textOptions: MetricsTextOptions = { ...options, format };
  assert.match(metricsText([monitor], textOptions), /^app_requests_total\{service="web"\} 7$/m);
  const families: MetricFamily[] = metricFamilies([monitor], options);
  const requests = families.find(({ name }) => name === "app_requests_total");
  const [sample]: readonly MetricSample[] = requests!.samples;
  const type: MetricType = requests!.type;
  assert.deepEqual([type, sample?.value], ["counter", 7n]);
  const registry: PrometheusRegistry = {
    getMetricsAsArray: () => [],
    contentType: "",
    getSingleMetric: () => undefined,
  };
  const remove = addMonitors(registry, [monitor], options);
  assert.equal(registry.getMetricsAsArray().length, families.length);
  remove();
}

/** With a meter of its own: the real one is a dependency of those who have it. */
function collectForOpenTelemetry(options: ExportOptions): void {
  const told: [string | undefined, number, string | undefined][] = [];
  let collect: () => void = ignore;
  const names = new Map<Observable, string>();
  const create = (name: string, _options?: InstrumentOptions): Observable => {
    const observable: Observable = { addCallback: ignore, removeCallback: ignore };
    names.set(observable, name);
    return observable;
  };
  const result: BatchResult = {
    observe: (observable, value, attributes: Attributes = {}) => {
      told.push([names.get(observable), value, attributes["utilization.service"]]);
    },
  };
  const meter: Meter = {
    createObservableCounter: create,
    createObservableGauge: create,
    addBatchObservableCallback: (callback: BatchCallback) => {
      collect = () => callback(result);
    },
    removeBatchObservableCallback: ignore,
  };
  const metrics: MetricsExport = exportMetrics(meter, options);
  collect();
  metrics.stop();
  const requests = told.find(
    ([name, , service]) => name === "utilization_requests_total" && service === "web",
  );
  assert.equal(requests?.[1], 7);
}

async function untilCounted(
  monitor: UtilizationMonitor,
  worker: Worker<"requests_total" | "load">,
): Promise<MappingName | null> {
  const deadline = performance.now() + 10_000;
  while (monitor.sample().web?.requests_total !== 7) {
    assert.ok(performance.now() < deadline, "the worker is not read");
    await sleep(10);
  }
  return worker.mapping;
}
