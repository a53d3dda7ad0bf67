// Automatic instrumentation in real processes: who registers, as what, and what is measured.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { it } from "node:test";
import { histogramFields } from "../host/histogram_definition.ts";
import { projectFile } from "./data.ts";
import {
  AUTO_URL,
  instrumented,
  notNode,
  startApplication,
  untilSums,
  workersOf,
} from "./support/auto.ts";
import { fetchText } from "./support/http_client.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000, skip: notNode };
const ALL = [
  "requests_active",
  "connections_active",
  "requests_total",
  "connections_total",
  "event_loop_utilization",
  "event_loop_delay_seconds",
  "heap_used_bytes",
  "rss_bytes",
  "cpu_seconds_total",
];
const DURATION = histogramFields("request_duration_seconds", {}).map(({ name }) => name);
/** What Node itself says of features that are new. */
const notOfNode = (line: string): boolean =>
  line !== "" && !/ExperimentalWarning|--trace-/.test(line);

it("a process that serves nobody is measured as well", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const application = startApplication(scene);
  await scene.sees(application);
  const web = () => scene.monitor.sample().web!;
  assert.deepEqual(Object.keys(web()), [...ALL, ...DURATION, "worker_count"]);
  // The last one that is stored.
  const idle = await until(() => web().cpu_seconds_total! > 0 && web(), "it is measured");
  assert.ok(idle.heap_used_bytes! > 1e6 && idle.heap_used_bytes! < idle.rss_bytes!);
  await until(() => web().event_loop_utilization! < 0.5, "its event loop waits");

  await application.ask("spin");
  await until(() => web().event_loop_utilization! > 0.8, "its event loop works");
  await until(() => web().event_loop_delay_seconds! >= 0.02, "timers are late");
  assert.ok(web().event_loop_utilization! <= 1);
  await until(() => web().cpu_seconds_total! > idle.cpu_seconds_total!, "it takes time");
  await application.ask("rest");
  await until(() => web().event_loop_utilization! < 0.5, "its event loop waits again");
  // It has said nothing at all.
  assert.deepEqual(application.log.filter(notOfNode), []);
});

it("metrics of the application are added before and after registration", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const application = startApplication(scene);
  const add = (name: string, by?: number) =>
    application.ask("counter", { url: AUTO_URL, name, by });
  // Not after a second: it was asked for.
  await add("orders_total", 3);
  await untilSums(scene, { orders_total: 3, worker_count: 1 });
  await add("orders_total", 4);
  await application.ask("gauge", { url: AUTO_URL, name: "queue_length", to: 2.5 });
  await add("refunds_total", 2);
  await untilSums(scene, { orders_total: 7, queue_length: 2.5, refunds_total: 2, worker_count: 1 });
  assert.equal(scene.total("web", "orders_total"), 7n);
  assert.equal(scene.monitor.detachedCount, 0);

  // Names that are taken, or are none, end nothing.
  await add("requests_total", 5);
  await add("requests_total", 5);
  await add("", 1);
  await application.ask("gauge", { url: AUTO_URL, name: "orders_total", to: 1 });
  await until(() => application.log.filter(notOfNode).length >= 3, "it says why");
  assert.match(
    application.log.filter(notOfNode)[0]!,
    /ERROR .*"requests_total": the name is taken/,
  );
  assert.equal(application.log.filter(notOfNode).length, 3);
  assert.equal(scene.monitor.sample().web?.requests_total, 0);
  assert.equal(scene.total("web", "orders_total"), 7n);
});

it(
  "histograms of the application are added, and whatever is wrong throws nothing",
  LIMIT,
  async (t) => {
    const scene = await Scene.supervised(t);
    const application = startApplication(scene);
    const observe = (name: string, value: number, buckets?: readonly number[]) =>
      application.ask("histogram", { url: AUTO_URL, name, value, buckets });
    await observe("job_seconds", 0.2, [0.1, 1]);
    await observe("job_seconds", 3, [0.1, 1]);
    await untilSums(scene, {
      job_seconds_bucket_1: 1,
      job_seconds_bucket_inf: 1,
      job_seconds_sum: 3.2,
    });
    await observe("job_seconds", 3);
    await observe("request_duration_seconds", 3);
    await observe("bad_seconds", 3, [2, 1]);
    await observe("", 3);
    await until(() => application.log.filter(notOfNode).length >= 4, "it says why");
    const reasons = [
      /"job_seconds": the name is taken/,
      /"request_duration_seconds": the name is taken/,
      /Cannot build histogram "bad_seconds": the bounds do not ascend: 1 after 2/,
      /the name is empty/,
    ];
    const lines = application.log.filter(notOfNode);
    for (const [index, reason] of reasons.entries()) assert.match(lines[index]!, reason);
    const { web } = scene.monitor.status().histograms!;
    assert.deepEqual([web!.job_seconds!.count, web!.request_duration_seconds!.count], [2, 0]);
  },
);

it(
  "a segment that is too small leaves out the last metrics, and says so once",
  LIMIT,
  async (t) => {
    const scene = await Scene.supervised(t, { segmentSize: 256 });
    const application = startApplication(scene);
    const names = Array.from({ length: 12 }, (_, i) => `metric_${i}_total`);
    for (const name of names) await application.ask("counter", { url: AUTO_URL, name, by: 9 });
    await untilSums(scene, { metric_0_total: 9, metric_5_total: 9, worker_count: 1 });
    await until(() => application.logged("No room").length > 0, "it says that there is no room");
    assert.match(application.logged("No room")[0]!, /a segment has 256 bytes, \d+ are needed/);
    const fields = Object.keys(scene.monitor.sample().web!);
    assert.ok(!fields.includes("metric_11_total"));
    const port = await application.ask<number>("listen");
    await fetchText(port);
    await untilSums(scene, { requests_total: 1, worker_count: 1 });
    assert.equal(application.log.filter(notOfNode).length, 1);

    // A supervisor with room for all is told of all.
    await scene.supervisor.close();
    await scene.supervise({ segmentSize: 512 });
    await untilSums(scene, { metric_0_total: 9, metric_11_total: 9, requests_total: 1 });
  },
);

it("a supervisor that comes later, goes and comes back is told all", LIMIT, async (t) => {
  const scene = new Scene(t);
  const application = startApplication(scene);
  const port = await application.ask<number>("listen");
  await fetchText(port);
  await scene.supervise();
  await untilSums(scene, { requests_total: 1 });
  await scene.supervisor.close();
  await fetchText(port);
  await scene.supervise();
  await untilSums(scene, { requests_total: 2, worker_count: 1 });
  await until(() => application.logged("Registered").length > 0, "it says that it is back");
  assert.equal(application.logged("Lost supervisor").length, 1);
  assert.equal(scene.total("web"), 2n);
});

it("without a supervisor a program ends as it does without us", LIMIT, async (t) => {
  const scene = new Scene(t);
  for (const script of [
    "console.log(1)",
    'setTimeout(() => console.log(1), 1500); import("node:http")',
  ]) {
    const path = scene.path("script.mjs");
    writeFileSync(path, script);
    const child = spawn(process.execPath, [path], {
      env: { ...process.env, ...instrumented(scene) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    scene.atEnd(() => child.kill("SIGKILL"));
    const texts = ["", ""];
    child.stdout.on("data", (data) => (texts[0] += data));
    child.stderr.on("data", (data) => (texts[1] += data));
    assert.deepEqual(await once(child, "close"), [0, null]);
    assert.equal(texts[0], "1\n");
    assert.deepEqual(texts[1]!.split("\n").filter(notOfNode), []);
  }
});

it("a program of a package is a worker only once it serves HTTP", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const program = `
    import { createServer } from "node:http";
    process.on("message", () => createServer().listen(0, "127.0.0.1"));
    process.on("disconnect", () => process.exit());
    process.send("up");`;
  const start = async (path: string) => {
    mkdirSync(dirname(scene.path(path)), { recursive: true });
    writeFileSync(scene.path(path), program);
    const child = spawn(process.execPath, [scene.path(path)], {
      env: { ...process.env, ...instrumented(scene) },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    scene.atEnd(() => child.kill("SIGKILL"));
    await once(child, "message");
    return child;
  };
  const tool = await start("node_modules/tool/cli.mjs");
  await start("yarn-4.5.0.mjs");
  await start("app.mjs");
  // It started last.
  await until(() => workersOf(scene, "app").length === 1, "the application is seen");
  assert.deepEqual(Object.keys(scene.monitor.sample()), ["app"]);
  tool.send("listen");
  await until(() => workersOf(scene, "cli").length === 1, "the tool that serves is seen");
  assert.deepEqual(Object.keys(scene.monitor.sample()), ["app", "cli"]);
});

it(
  "two copies in one process count once, and share the metrics of the application",
  LIMIT,
  async (t) => {
    const scene = await Scene.supervised(t);
    const application = startApplication(scene);
    // What `npm run build` makes of the same sources.
    const other = projectFile("dist/host/auto.js").href;
    assert.notEqual(other, AUTO_URL);
    const port = await application.ask<number>("listen");
    for (const url of [other, AUTO_URL]) {
      await application.ask("counter", { url, name: "orders_total", by: 5 });
    }
    for (let i = 0; i < 3; i++) await fetchText(port);
    await untilSums(scene, { orders_total: 10, requests_total: 3, worker_count: 1 });
    assert.equal(scene.monitor.sampleByWorker().length, 1);
  },
);

it("the workers of a cluster are counted without their primary", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const application = startApplication(scene, {}, "auto_cluster");
  const port = await application.ask<number>("fork", { count: 3 });
  for (let i = 0; i < 12; i++) await fetchText(port);
  await untilSums(scene, { requests_total: 12, connections_total: 12, worker_count: 3 });
  await untilSums(scene, { requests_total: 0, worker_count: 1 }, "web/primary");
  assert.equal(workersOf(scene, "web/primary")[0]?.processId, application.pid);
  for (const { data } of workersOf(scene, "web")) assert.equal(data.requests_total, 4);
});

it("a process that forks later becomes a primary", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const application = startApplication(scene, {}, "auto_cluster");
  await scene.sees(application);
  assert.deepEqual(Object.keys(scene.monitor.sample()), ["web"]);
  await application.ask("fork", { count: 2 });
  await untilSums(scene, { worker_count: 2 });
  await untilSums(scene, { worker_count: 1 }, "web/primary");
  assert.equal(scene.monitor.detachedCount, 0);
});

it("threads are measured by themselves, and their process once", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const application = startApplication(scene);
  const port = await application.ask<number>("listen");
  const ofThread = await application.ask<number>("thread");
  await fetchText(port);
  for (let i = 0; i < 4; i++) await fetchText(ofThread);
  await untilSums(scene, { requests_total: 1, worker_count: 1 });
  await untilSums(scene, { requests_total: 4, worker_count: 1 }, "web/threads");
  const [thread] = workersOf(scene, "web/threads");
  assert.equal(thread?.processId, application.pid);
  const own = ["rss_bytes", "cpu_seconds_total"];
  assert.deepEqual(Object.keys(thread.data), [
    ...ALL.filter((name) => !own.includes(name)),
    ...DURATION,
  ]);
  await until(
    () => workersOf(scene, "web/threads")[0]!.data.heap_used_bytes! > 0,
    "it is measured",
  );

  await application.ask("endThread");
  await until(() => workersOf(scene, "web/threads").length === 0, "it is gone");
  await until(() => scene.monitor.detachedCount === 0, "its segment is free");
  assert.equal(scene.total("web/threads"), 4n);

  await fetchText(await application.ask<number>("thread"));
  await untilSums(scene, { requests_total: 1, worker_count: 1 }, "web/threads");
  await application.ask("terminateThread");
  await until(() => workersOf(scene, "web/threads").length === 0, "the next one is gone");
  assert.equal(scene.total("web/threads"), 5n);
  await untilSums(scene, { requests_total: 1, worker_count: 1 });
});

it(
  "a unit of systemd finds its folder, and serves a socket that was opened for it",
  LIMIT,
  async (t) => {
    const scene = new Scene(t);
    await scene.supervise({ socket: scene.path("default.ipc") });
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
    const path = scene.path("unit.mjs");
    writeFileSync(
      path,
      `import { createServer } from "node:http";
    createServer((_, response) => response.end("hello")).listen({ fd: 3 });`,
    );
    writeFileSync(scene.path("package.json"), '{"name": "@acme/unit"}');
    const child = spawn(process.execPath, ["--import", AUTO_URL, path], {
      cwd: "/",
      env: { LISTEN_FDS: "1", INVOCATION_ID: "1", RUNTIME_DIRECTORY: `${scene.folder}:/run/other` },
      stdio: ["ignore", "ignore", "inherit", fd],
    });
    scene.atEnd(() => child.kill("SIGKILL"));
    await until(() => workersOf(scene, "@acme/unit").length === 1, "it is seen");
    server.close();
    assert.equal(await fetchText(port), "hello");
    await untilSums(scene, { requests_total: 1, connections_total: 1 }, "@acme/unit");
  },
);
