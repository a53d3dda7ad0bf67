import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import {
  MeterProvider,
  MetricReader,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { exportMetrics } from "../host/opentelemetry/bridge.ts";
import { unitCode } from "../host/opentelemetry/units.ts";
import { metricsText, type PrometheusOptions } from "../host/prometheus.ts";
import { Schema, type SchemaDefinition } from "../host/schema.ts";
import { connect } from "../host/worker.ts";
import { projectFile } from "./data.ts";
import { afterTest } from "./support/after_test.ts";
import { OtlpReceiver } from "./support/otlp.ts";
import { isDeno, otherRuntime, type Runtime } from "./support/runtime.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";
import { FakeWorker } from "./support/workers.ts";

const SERVICE = "utilization.service";
const WEB = { [SERVICE]: "web" };
const API = { [SERVICE]: "api" };

/** The real SDK and its real exporter, which exports when it is told to. */
async function exporting(scene: Scene, test: Parameters<typeof OtlpReceiver.listen>[0]) {
  const receiver = await OtlpReceiver.listen(test);
  const exporter = new OTLPMetricExporter({ url: receiver.url });
  const hour = 3_600_000;
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: hour });
  const provider = new MeterProvider({ readers: [reader] });
  scene.atEnd(() => provider.shutdown());
  const { supervisor, monitor, log } = scene;
  const meter = provider.getMeter("utilization-monitor");
  const metrics = exportMetrics(meter, { supervisor, monitors: [monitor], log });
  const collect = async (): Promise<OtlpReceiver> => {
    await provider.forceFlush();
    return receiver;
  };
  return { metrics, receiver, collect };
}

/** A collection without an exporter. */
class ManualReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}

  /** Values by the name of the metric and its attributes. */
  async values(): Promise<Record<string, number>> {
    const { resourceMetrics, errors } = await this.collect();
    assert.deepEqual(errors, []);
    const values: Record<string, number> = {};
    for (const { metrics } of resourceMetrics.scopeMetrics) {
      for (const { descriptor, dataPoints } of metrics) {
        for (const { attributes, value } of dataPoints) {
          const labels = Object.values(attributes).join(" ");
          values[`${descriptor.name} ${labels}`.trim()] = value as number;
        }
      }
    }
    return values;
  }
}

/** The bridge on the monitor of a scene, and how often it has read. */
function bridged({ monitor, supervisor, log }: Scene, options: PrometheusOptions = {}) {
  const watch = { reads: 0, error: null as Error | null };
  const status = monitor.status.bind(monitor);
  monitor.status = ((options) => {
    watch.reads++;
    if (watch.error !== null) throw watch.error;
    return status(options);
  }) as typeof monitor.status;
  const reader = new ManualReader();
  const meter = new MeterProvider({ readers: [reader] }).getMeter("test");
  const metrics = exportMetrics(meter, { supervisor, monitors: [monitor], log, ...options });
  return { reader, metrics, watch };
}

/** Registers a worker that has these fields, and its bytes. */
async function register(
  { monitor }: Scene,
  id: number,
  schema: SchemaDefinition,
  bytes = new Uint8Array(64),
): Promise<FakeWorker> {
  // With what fields say of themselves, which reference rows do not have.
  const rows = Schema.build(schema).toRows() as unknown as FakeWorker["rows"];
  const worker = new FakeWorker(id, { name: "web" }, rows, bytes);
  await monitor.register(worker);
  return worker;
}

describe("exportMetrics()", () => {
  it("exports what processes have counted, also what one has that was killed", async (t) => {
    const scene = await Scene.supervised(t);
    const { collect } = await exporting(scene, t);
    const workers = await Promise.all([scene.registered(), scene.registered()]);
    for (const worker of workers) await worker.ask("add", { by: 21 });
    await workers[0]!.ask("add", { field: "requests_active", by: 3 });
    await scene.sums("web", "requests_active", 3);
    await scene.sums("web", "requests_total", 42);

    const first = await collect();
    const total = first.metric("utilization_requests_total");
    assert.deepEqual([total.kind, total.isMonotonic, total.isCumulative], ["sum", true, true]);
    assert.equal(first.metric("utilization_requests_active").kind, "gauge");
    const before = first.point("utilization_requests_total", WEB)!;
    assert.deepEqual(before.attributes, WEB);
    assert.equal(before.value, 42);
    assert.equal(first.point("utilization_requests_active", WEB)?.value, 3);
    assert.equal(first.point("utilization_workers", WEB)?.value, 2);

    await workers[0]!.kill();
    await scene.sums("web", "requests_total", 21);
    await workers[1]!.ask("add", { by: 8 });
    await scene.sums("web", "requests_total", 29);
    const second = await collect();
    const after = second.point("utilization_requests_total", WEB)!;
    assert.equal(after.value, 50);
    assert.equal(after.startTimeUnixNano, before.startTimeUnixNano);
    assert.ok(BigInt(after.timeUnixNano) > BigInt(before.timeUnixNano));
    assert.equal(second.point("utilization_requests_active", WEB)?.value, 0);
    assert.equal(second.point("utilization_workers", WEB)?.value, 1);
  });

  it("exports services and fields that come while it runs, in the first collection", async (t) => {
    const scene = await Scene.supervised(t);
    const { collect } = await exporting(scene, t);
    const web = await scene.registered();
    await web.ask("add", { by: 5 });
    await scene.sums("web", "requests_total", 5);
    assert.equal((await collect()).point("utilization_requests_total", WEB)?.value, 5);

    const schema = { requests_total: "u64", jobs_total: "u64" };
    const api = await scene.registered({ name: "api", schema });
    await api.ask("add", { by: 7 });
    await api.ask("add", { field: "jobs_total", by: 9 });
    await scene.sums("api", "jobs_total", 9);
    const receiver = await collect();
    assert.equal(receiver.point("utilization_requests_total", WEB)?.value, 5);
    assert.equal(receiver.point("utilization_requests_total", API)?.value, 7);
    assert.equal(receiver.point("utilization_jobs_total", API)?.value, 9);
    assert.equal(receiver.metric("utilization_jobs_total").points.length, 1);
  });

  it("keeps a service whose workers are all gone: its counters, and no value of the moment", async (t) => {
    const scene = await Scene.supervised(t);
    const { collect } = await exporting(scene, t);
    const worker = await scene.registered();
    await worker.ask("add", { by: 5 });
    await worker.ask("add", { field: "requests_active", by: 5 });
    await scene.sums("web", "requests_active", 5);
    assert.equal((await collect()).point("utilization_requests_active", WEB)?.value, 5);
    await worker.kill();
    await scene.sees(worker, 0);
    for (let collection = 0; collection < 2; collection++) {
      const receiver = await collect();
      assert.equal(receiver.point("utilization_requests_total", WEB)?.value, 5);
      assert.equal(receiver.point("utilization_requests_active", WEB)?.value, 0);
      assert.equal(receiver.point("utilization_workers", WEB)?.value, 0);
    }
  });

  it("exports a histogram as counters", async (t) => {
    const scene = await Scene.supervised(t);
    const { collect } = await exporting(scene, t);
    const histogram = "wait_seconds";
    const part = { type: "u64", kind: "counter", histogram } as const;
    const schema: SchemaDefinition = {
      "wait_seconds_bucket_0.25": { ...part, le: "0.25" },
      wait_seconds_bucket_inf: { ...part, le: "+Inf" },
      wait_seconds_sum: { ...part, type: "f64", unit: "seconds" },
    };
    const values = new DataView(new ArrayBuffer(64));
    values.setBigUint64(0, 3n, true);
    values.setBigUint64(8, 2n, true);
    values.setFloat64(16, 4.5, true);
    await register(scene, 1, schema, new Uint8Array(values.buffer));
    const receiver = await collect();
    const told = receiver.metrics.filter(({ name }) => name.startsWith("utilization_wait_"));
    assert.deepEqual(
      told.flatMap(({ name, unit, isMonotonic, points }) =>
        points.map(({ attributes, value }) => [name, unit, isMonotonic, attributes.le, value]),
      ),
      [
        ["utilization_wait_seconds_bucket", "", true, "0.25", 3],
        ["utilization_wait_seconds_bucket", "", true, "+Inf", 5],
        ["utilization_wait_seconds_sum", "s", true, undefined, 4.5],
        ["utilization_wait_seconds_count", "", true, undefined, 5],
      ],
    );
  });

  it("reads each monitor once a collection, also when instruments are new", async (t) => {
    const scene = await Scene.supervised(t);
    const { reader, watch } = bridged(scene);
    await reader.values();
    for (let id = 1; id <= 3; id++) {
      await register(scene, id, { [`new_${id}_total`]: "u64", [`new_${id}`]: "u64" });
      const values = await reader.values();
      assert.equal(values[`utilization_new_${id}_total web`], 0);
      assert.equal(values[`utilization_new_${id} web`], 0);
      assert.equal(values["utilization_workers web"], id);
      assert.equal(watch.reads, id + 1);
    }
  });

  it("rounds integers beyond 2^53, and leaves out what is no number", async (t) => {
    const scene = await Scene.supervised(t);
    const { reader } = bridged(scene);
    const values = new DataView(new ArrayBuffer(64));
    values.setBigUint64(0, 2n ** 64n - 1n, true);
    values.setFloat64(8, Number.NaN, true);
    const bytes = new Uint8Array(values.buffer);
    await register(scene, 1, { requests_total: "u64", load: "f64" }, bytes);
    const told = await reader.values();
    assert.equal(told["utilization_requests_total web"], 2 ** 64);
    assert.equal("utilization_load web" in told, false);
  });

  it("tells each worker, but not what it says of itself, which the SDK would never forget", async (t) => {
    const scene = await Scene.supervised(t);
    const { reader } = bridged(scene, { byWorker: true });
    const schema = { requests_total: "u64", version: "str8" } as const;
    const { socket, log } = scene;
    const worker = connect({ name: "web", schema, socket, log });
    scene.atEnd(() => worker.close());
    worker.texts.version.set("1.2.3");
    await until(() => scene.monitor.sample().web !== undefined, "it is registered");
    assert.match(metricsText([scene.monitor], { byWorker: true }), /worker_info/);
    const told = await reader.values();
    assert.equal(told["utilization_worker_requests_total web 0"], 0);
    assert.doesNotMatch(Object.keys(told).join(), /worker_info/);
  });

  it("logs an error once, harms no collection, and goes on", async (t) => {
    const scene = await Scene.supervised(t);
    const { reader, watch } = bridged(scene);
    await register(scene, 1, { requests_total: "u64" });
    watch.error = new Error("the file is gone");
    for (let collection = 0; collection < 3; collection++) {
      assert.deepEqual(await reader.values(), {});
    }
    assert.equal(scene.log.with("Error exporting metrics").length, 1);
    watch.error = null;
    assert.equal((await reader.values())["utilization_workers web"], 1);
  });

  it("reads nothing any more when it is stopped", async (t) => {
    const scene = await Scene.supervised(t);
    const { reader, metrics, watch } = bridged(scene);
    await register(scene, 1, { requests_total: "u64" });
    await reader.values();
    metrics.stop();
    metrics.stop();
    await reader.values();
    assert.equal(watch.reads, 1);
  });
});

describe("unitCode()", () => {
  for (const [unit, code] of [
    ["seconds", "s"],
    ["bytes", "By"],
    ["ratio", "1"],
    ["ms", "ms"],
    ["{request}", "{request}"],
  ] as const) {
    it(`writes ${unit} as ${code}`, () => assert.equal(unitCode(unit), code));
  }
});

describe("examples/opentelemetry", { skip: isDeno && "an example for Node.js" }, () => {
  it("exports its workers until it is stopped, and once more then", async (t) => {
    const receiver = await OtlpReceiver.listen(t);
    const path = fileURLToPath(projectFile("examples/opentelemetry/supervisor.js"));
    const example = spawn(process.execPath, [path], {
      env: {
        ...process.env,
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        // The time in which an export must be done is never longer.
        OTEL_METRIC_EXPORT_INTERVAL: "1000",
        OTEL_METRIC_EXPORT_TIMEOUT: "1000",
      },
      stdio: "ignore",
    });
    afterTest(t, () => void example.kill("SIGKILL"));
    const exited = once(example, "exit");
    const told = (name: string, service: object): number =>
      receiver.metrics.some((metric) => metric.name === name)
        ? (receiver.point(name, service as Record<string, string>)?.value ?? 0)
        : 0;
    await until(
      () => told("utilization_workers", WEB) === 2 && told("utilization_requests_total", API) > 2,
      "the example exports",
    );
    assert.equal(receiver.resource["service.name"], "utilization-supervisor");
    const { requests } = receiver;
    example.kill("SIGTERM");
    assert.deepEqual(await exited, [0, null]);
    assert.ok(receiver.requests > requests, "nothing was exported at the end");
    assert.ok(told("utilization_requests_total", WEB) > told("utilization_requests_total", API));
  });
});

const deno = isDeno
  ? "Node starts it"
  : await otherRuntime("deno").catch((error: Error) => error.message);

describe("the meter of Deno", { skip: typeof deno === "string" && deno }, () => {
  it("exports as well, without an SDK", async (t) => {
    const receiver = await OtlpReceiver.listen(t);
    const scene = new Scene(t);
    const environment = {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_METRIC_EXPORT_INTERVAL: "100",
      UTILIZATION_MAPPING: "",
    };
    const supervisor = scene.child("exporting_process", environment, deno as Runtime);
    await supervisor.ask("listen", { socket: scene.socket, path: scene.file });
    const worker = await scene.worker();
    await worker.ask("add", { by: 5 });
    const api = await scene.worker({ name: "api" });
    await api.ask("add", { by: 7 });
    const told = (service: Record<string, string>): number | undefined =>
      receiver.metrics.some(({ name }) => name === "utilization_requests_total")
        ? receiver.point("utilization_requests_total", service)?.value
        : undefined;
    await until(() => told(WEB) === 5 && told(API) === 7, "both services are exported");
    const { isMonotonic, isCumulative } = receiver.metric("utilization_requests_total");
    assert.deepEqual([isMonotonic, isCumulative], [true, true]);
    await worker.kill();
    await until(
      () => receiver.point("utilization_workers", WEB)?.value === 0,
      "the worker is seen to be gone",
    );
    assert.equal(told(WEB), 5);
  });
});
