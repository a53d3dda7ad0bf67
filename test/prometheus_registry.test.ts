import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { OpenMetricsContentType } from "prom-client";
import {
  addMonitors,
  CONTENT_TYPES,
  metricFamilies,
  metricsText,
  preferredFormat,
} from "../host/prometheus.ts";
import { Schema } from "../host/schema.ts";
import { Supervisor } from "../host/supervisor.ts";
import { UtilizationMonitor } from "../host/utilization_monitor.ts";
import { connect } from "../host/worker.ts";
import { loadPromClient, type PromClient, type PromClientName } from "./bench/libraries.ts";
import { temporaryFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";
import { FakeWorker } from "./support/workers.ts";

const LIBRARIES: readonly PromClientName[] = ["prom-client", "@prometheus-io/client"];

/** The library; a text says why it cannot be had, on a runtime that is too old for it. */
function load(name: PromClientName): PromClient | string {
  try {
    return loadPromClient(name);
  } catch (error) {
    return `${name}: ${(error as Error).message}`;
  }
}

/** A supervisor with two workers of a service "web", that have counted 42. */
async function makeScene(test: Parameters<typeof Scene.supervised>[0]): Promise<Scene> {
  const scene = await Scene.supervised(test);
  const workers = await Promise.all([scene.registered(), scene.registered()]);
  for (const worker of workers) await worker.ask("add", { by: 21 });
  await scene.sums("web", "requests_total", 42);
  return scene;
}

const BYTES = new Uint8Array(64);

/** The lines that contain one of the words. */
function linesWith(text: string, ...words: string[]): string[] {
  return text.split("\n").filter((line) => words.some((word) => line.includes(word)));
}

for (const name of LIBRARIES) {
  const library = load(name);
  describe(`addMonitors(), with ${name}`, { skip: typeof library === "string" && library }, () => {
    it("has the registry tell what the monitors know, at once and beside its own", async (t) => {
      const scene = await makeScene(t);
      const { supervisor, monitor, log } = scene;
      const { Registry, Counter } = library as PromClient;
      const registry = new Registry();
      new Counter({ name: "own_total", help: "Own.", registers: [registry] }).inc(3);
      const remove = addMonitors(registry, [monitor], { supervisor, log });

      const text = await registry.metrics();
      assert.deepEqual(linesWith(text, "own_total", "requests_", "utilization_workers"), [
        "# HELP own_total Own.",
        "# TYPE own_total counter",
        "own_total 3",
        "# HELP utilization_workers Workers of a service that live.",
        "# TYPE utilization_workers gauge",
        'utilization_workers{service="web"} 2',
        "# HELP utilization_requests_total Total of all workers that a service ever had.",
        "# TYPE utilization_requests_total counter",
        'utilization_requests_total{service="web"} 42',
        "# HELP utilization_requests_active Sum over the workers of a service.",
        "# TYPE utilization_requests_active gauge",
        'utilization_requests_active{service="web"} 0',
      ]);
      assert.match(text, /^utilization_limits_reached_total\{limit="workers"\} 0$/m);
      assert.match(text, /^utilization_sample_duration_seconds_count \d+$/m);

      // A service that was not known before.
      await scene.registered({ name: "jobs" });
      assert.match(await registry.metrics(), /^utilization_workers\{service="jobs"\} 1$/m);
      const json = await registry.getMetricsAsJSON();
      const workers = json.find((one) => one.name === "utilization_workers");
      assert.deepEqual(
        workers!.values!.map(({ value }) => value),
        [2, 1],
      );

      remove();
      assert.doesNotMatch(await registry.metrics(), /utilization/);
    });

    it("names counters as OpenMetrics wants them", async (t) => {
      const { monitor, log } = await makeScene(t);
      const { Registry } = library as PromClient;
      const registry = new Registry<OpenMetricsContentType>();
      registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
      addMonitors(registry, [monitor], { log, namespace: "app" });
      for (let scrape = 0; scrape < 2; scrape++) {
        const text = await registry.metrics();
        assert.match(
          text,
          /^# TYPE app_requests counter\napp_requests_total\{service="web"\} 42$/m,
        );
        assert.match(text, /\n# EOF\n$/);
      }
    });

    it("tells no family twice: of monitors that are added twice, or beside a gauge", async (t) => {
      const { monitor, log } = await makeScene(t);
      const schema = Schema.build({
        jobs: "u32",
        jobs_total: "u64",
        requests: "u32",
        busy_count: "u32",
        idle: "u32",
      });
      const rows = schema.toRows() as unknown as FakeWorker["rows"];
      const worker = new FakeWorker(101, { name: "api" }, rows, BYTES);
      await monitor.register(worker);
      const { Registry, Counter, Gauge, Histogram } = library as PromClient;
      const registry = new Registry<OpenMetricsContentType>();
      const registers = [registry];
      new Counter({ name: "own_requests_total", help: "Own.", registers });
      // Whose samples are called as our gauge, and one that is called as a counter.
      new Histogram({ name: "own_busy", help: "Own.", registers });
      new Gauge({ name: "own_idle_total", help: "Own.", registers });
      const options = { log, namespace: "own" };
      const removes = [1, 2].map(() => addMonitors(registry, [monitor], options));
      const heads = async (): Promise<string[]> =>
        (await registry.metrics())
          .split("\n")
          .filter((line) => /^# TYPE own_(req|jobs|busy|idle)/.test(line));
      assert.deepEqual(await heads(), [
        "# TYPE own_requests_total counter",
        "# TYPE own_busy histogram",
        "# TYPE own_idle_total gauge",
        "# TYPE own_requests_active gauge",
        "# TYPE own_jobs_total counter",
        "# TYPE own_jobs gauge",
        "# TYPE own_requests gauge",
        "# TYPE own_idle gauge",
      ]);
      registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
      for (let scrape = 0; scrape < 2; scrape++) {
        assert.deepEqual(await heads(), [
          "# TYPE own_requests counter",
          "# TYPE own_busy histogram",
          "# TYPE own_idle_total gauge",
          "# TYPE own_requests_active gauge",
          "# TYPE own_jobs_total unknown",
          "# TYPE own_jobs gauge",
          "# TYPE own_idle gauge",
        ]);
      }
      for (const remove of removes.reverse()) remove();
      assert.equal((await heads()).length, 3);
    });

    it("is known to registries that are merged, and adds default labels", async (t) => {
      const scene = await makeScene(t);
      const { monitor, log } = scene;
      const { Registry } = library as PromClient;
      const registry = new Registry();
      addMonitors(registry, [monitor], { log });
      const merged = Registry.merge([registry, new Registry()]);
      await scene.registered();
      assert.match(await merged.metrics(), /^utilization_workers\{service="web"\} 3$/m);
      registry.setDefaultLabels({ host: "a" });
      assert.match(await registry.metrics(), /^utilization_workers\{service="web",host="a"\} 3$/m);
    });

    it("leaves a name to the registry that has it, and says so once", async (t) => {
      const { monitor, log } = await makeScene(t);
      const { Registry, Counter } = library as PromClient;
      const registry = new Registry();
      const namespace = name.replace(/\W/g, "_");
      const taken = `${namespace}_requests_total`;
      new Counter({ name: taken, help: "Own.", registers: [registry] }).inc(3);
      addMonitors(registry, [monitor], { log, namespace });
      for (let scrape = 0; scrape < 2; scrape++) {
        const text = await registry.metrics();
        assert.deepEqual(linesWith(text, `${taken} `, `${taken}{`), [
          `# HELP ${taken} Own.`,
          `# TYPE ${taken} counter`,
          `${taken} 3`,
        ]);
      }
      assert.equal(log.with(`["${taken}"]`).length, 1);
    });

    it("does not keep the registry's own metrics from being told", async (t) => {
      const { monitor, log } = await makeScene(t);
      const { Registry, Counter } = library as PromClient;
      const registry = new Registry();
      new Counter({ name: "own_total", help: "Own.", registers: [registry] });
      const broken = Object.create(monitor, {
        status: {
          value() {
            throw new Error("broken");
          },
        },
      });
      addMonitors(registry, [broken], { log });
      for (let scrape = 0; scrape < 3; scrape++) {
        assert.match(await registry.metrics(), /^own_total 0$/m);
      }
      assert.equal(log.with("Error reading monitors for a registry").length, 1);
      assert.throws(() => addMonitors(registry, [monitor], { namespace: "a b" }), RangeError);
    });
  });
}

const PART = { type: "u64", kind: "counter", histogram: "wait_seconds" } as const;
const HISTOGRAM = {
  "wait_seconds_bucket_0.5": { ...PART, le: "0.5" },
  wait_seconds_bucket_inf: { ...PART, le: "+Inf" },
  wait_seconds_sum: { ...PART, type: "f64", unit: "seconds", help: "How long." },
} as const;

describe("metricsText()", () => {
  it("tells histograms of workers that are gone, also after a restart of the supervisor", async (t) => {
    const path = join(temporaryFolder(t), "a.shm");
    const socket = `${path}.ipc`;
    const log = new CollectingLogger();
    const supervise = async (): Promise<[UtilizationMonitor, Supervisor]> => {
      const monitor = new UtilizationMonitor({ path, log });
      return [monitor, await Supervisor.listen({ socket, monitors: [monitor], log })];
    };
    const expected = [
      "# HELP utilization_wait_seconds How long.",
      "# TYPE utilization_wait_seconds histogram",
      'utilization_wait_seconds_bucket{service="web",le="0.5"} 2',
      'utilization_wait_seconds_bucket{service="web",le="+Inf"} 3',
      'utilization_wait_seconds_sum{service="web"} 1.5',
      'utilization_wait_seconds_count{service="web"} 3',
    ];
    const told = (monitor: UtilizationMonitor): string[] =>
      linesWith(metricsText([monitor]), "utilization_wait_seconds");

    const [monitor, supervisor] = await supervise();
    const worker = connect({ name: "web", socket, log, schema: HISTOGRAM });
    worker.metrics["wait_seconds_bucket_0.5"].increment(2);
    worker.metrics.wait_seconds_bucket_inf.increment();
    worker.metrics.wait_seconds_sum.increment(1.5);
    await until(() => monitor.totals().web?.wait_seconds_sum === 1.5, "it has counted");
    assert.deepEqual(told(monitor), expected);
    await worker.close();
    await until(() => monitor.sample().web === undefined, "it is gone");
    assert.deepEqual(told(monitor), expected);
    await supervisor.close();

    const [successor, next] = await supervise();
    assert.deepEqual(told(successor), expected);
    await next.close();
  });

  it("is what a scraper wants, also of each worker", async (t) => {
    const { monitor, supervisor } = await makeScene(t);
    const text = metricsText([monitor], { supervisor, byWorker: true });
    assert.match(text, /^utilization_requests_total\{service="web"\} 42$/m);
    assert.deepEqual(linesWith(text, "utilization_worker_requests_total{").sort(), [
      'utilization_worker_requests_total{service="web",slot="0"} 21',
      'utilization_worker_requests_total{service="web",slot="1"} 21',
    ]);
    const format = preferredFormat("application/openmetrics-text");
    assert.match(metricsText([monitor], { format }), /\n# EOF\n$/);
    assert.match(CONTENT_TYPES[format], /^application\/openmetrics-text/);
    const families = metricFamilies([monitor]).map(({ name }) => name);
    assert.ok(families.includes("utilization_requests_total"), families.join());
  });
});
