// What a supervisor tells of the histograms of real processes.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { it } from "node:test";
import { plain } from "../host/bus/values.ts";
import { Inspection } from "../host/inspection.ts";
import { Registry } from "../host/registry.ts";
import type { Status } from "../host/sample.ts";
import { Schema } from "../host/schema.ts";
import { connect, Worker } from "../host/worker.ts";
import { FakeSupervisor } from "./support/fake_supervisor.ts";
import { dial, register, wireRows } from "./support/ruby_worker.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };
const SCHEMA = {
  requests_total: "u64",
  seconds: { type: "histogram", buckets: [1, 2], unit: "seconds" },
} as const;
const COUNTER = { type: "f64", kind: "counter", unit: "minutes" } as const;

it("two processes are told as one, and a dead one in the totals", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const workers = await Promise.all(
    [0, 1].map(() => scene.registered({ name: "web", schema: SCHEMA })),
  );
  await workers[0]!.ask("observe", { values: [0.5, 1.5] });
  await workers[1]!.ask("observe", { values: [1.5, 9] });
  const { histograms, data } = scene.monitor.status();
  assert.deepEqual(
    { ...histograms!.web!.seconds },
    { count: 4, sum: 12.5, p50: 1.5, p90: 2, p99: 2 },
  );
  assert.equal(data.web!.seconds_bucket_2, 2);
  assert.equal(scene.monitor.status({ bigint: true }).histograms!.web!.seconds!.count, 4n);
  const { data: exact, histograms: told } = JSON.parse(scene.monitor.statusText({ totals: true }));
  assert.deepEqual(told, { web: { seconds: { count: 4, sum: 12.5, p50: 1.5, p90: 2, p99: 2 } } });
  assert.equal(exact.web.seconds_sum, 12.5);

  await workers[1]!.kill();
  await until(() => scene.monitor.sample().web?.worker_count === 1, "one is left");
  const left = scene.monitor.status({ totals: true });
  assert.equal(left.histograms!.web!.seconds!.count, 2);
  const { seconds_bucket_1, seconds_bucket_2, seconds_bucket_inf, seconds_sum } = left.totals!.web!;
  assert.deepEqual(
    [seconds_bucket_1, seconds_bucket_2, seconds_bucket_inf, seconds_sum],
    [1, 2, 1, 12.5],
  );
  await workers[0]!.kill();
  await until(() => scene.monitor.sample().web === undefined, "nobody is left");
  assert.equal(scene.monitor.status().histograms, undefined);
  assert.equal(scene.total("web", "seconds_bucket_2"), 2n);
});

it("workers of one service may have different buckets", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const other = { seconds: { type: "histogram", buckets: [1, 4] } };
  const workers = [
    await scene.registered({ schema: SCHEMA }),
    await scene.registered({ schema: other }),
  ];
  await workers[0]!.ask("observe", { values: [0.5, 1.5] });
  await workers[1]!.ask("observe", { values: [3, 3, 5] });
  const { web } = scene.monitor.status().histograms!;
  assert.deepEqual({ ...web!.seconds }, { count: 5, sum: 13, p50: 2.5, p90: 4, p99: 4 });
});

it("nothing observed is null, and no histogram is no member", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  await scene.registered({ name: "plain" });
  assert.equal("histograms" in scene.monitor.status(), false);
  assert.doesNotMatch(scene.monitor.statusText({ totals: true }), /histograms/);
  await scene.registered({ schema: SCHEMA });
  const none = { count: 0, sum: 0, p50: null, p90: null, p99: null };
  assert.deepEqual(JSON.parse(scene.monitor.statusText()).histograms, { web: { seconds: none } });
  assert.deepEqual(Object.keys(scene.monitor.status().histograms!), ["web"]);
});

it("a histogram that is added while a worker is registered is seen", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const { log, socket } = scene;
  const registry = new Registry(Schema.build({ requests_total: "u64" }), { log });
  const worker = new Worker({ name: "web", registry, socket, log }).run();
  scene.atEnd(() => worker.close());
  await until(() => worker.id !== null, "it is registered");
  const seconds = registry.histogram("seconds", { buckets: [1] });
  seconds.observe(3);
  await until(
    () => scene.monitor.status().histograms?.web?.seconds?.count === 1,
    "it is registered with it",
  );
  assert.equal(scene.monitor.detachedCount, 0);
  assert.equal(log.with("Registered with").length, 1);
});

it("counters of workers that have left make room for a histogram", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const { log, socket } = scene;
  const former = connect({ name: "web", schema: { seconds_sum: COUNTER }, socket, log });
  former.metrics.seconds_sum.increment(2);
  // Known on either side: else it cannot say goodbye, and may come back.
  await until(() => former.id !== null, "it is registered");
  await until(() => scene.monitor.totals().web?.seconds_sum === 2, "it has counted");
  await former.close();
  await until(() => scene.monitor.sample().web === undefined, "it has left");
  const worker = await scene.registered({ name: "web", schema: SCHEMA });
  await worker.ask("observe", { values: [0.5] });
  // What was counted under the name stays in the total.
  const { histograms, totals } = scene.monitor.status({ totals: true });
  const { count, sum } = histograms!.web!.seconds!;
  assert.deepEqual([count, sum, totals!.web!.seconds_sum], [1, 0.5, 2.5]);
  assert.deepEqual(log.with("two ways"), []);
});

it("a supervisor that knows no histograms is given plain fields", LIMIT, async (t) => {
  const scene = new Scene(t);
  const fake = await new FakeSupervisor().listen(scene.socket);
  scene.atEnd(() => fake.close());
  const file = scene.path("f.shm");
  writeFileSync(file, new Uint8Array(512));
  const { log, socket } = scene;
  const registry = new Registry(Schema.build({ requests_total: "u64" }), { log });
  registry.histogram("seconds", { buckets: [1] }).observe(3);
  const worker = new Worker({ name: "web", registry, socket, log }).run();
  scene.atEnd(() => worker.close());
  await until(() => fake.visits.length === 1, "it registers");
  const rows = plain(await fake.visits[0]!.setUp(file, 512, 0)) as unknown[][];
  assert.deepEqual(
    rows.map(([name, type, offset]) => [name, type, offset]),
    [
      ["requests_total", "u64", 0],
      ["seconds_bucket_1", "u64", 16],
      ["seconds_bucket_inf", "u64", 24],
      ["seconds_sum", "f64", 32],
    ],
  );
  const bytes = readFileSync(file);
  assert.deepEqual([bytes.readBigUInt64LE(24), bytes.readDoubleLE(32)], [1n, 3]);
  // The heartbeat is where it would be without.
  assert.notEqual(bytes.readUInt32LE(8), 0);
});

it("over the bus status is as in Ruby, and status_json tells them", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const worker = await scene.registered({ schema: SCHEMA });
  await worker.ask("observe", { values: [0.5] });
  const connection = dial(scene.socket);
  scene.atEnd(() => connection.close());
  const ask = async (method: string) => plain(await connection.invoke("supervisor", method, []));
  const [status] = (await ask("status")) as Status[];
  assert.deepEqual(Object.keys(status!).sort(), ["data", "type"]);
  const [told] = JSON.parse((await ask("status_json")) as string);
  const seconds = { count: 1, sum: 0.5, p50: 0.5, p90: 0.9, p99: 0.99 };
  assert.deepEqual(told.histograms, { web: { seconds } });
});

it("a stranger's parts are told as far as they go", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const part = (le?: string) => ({ kind: "counter", histogram: "h", ...(le && { le }) });
  const connection = dial(scene.socket);
  scene.atEnd(() => connection.close());
  await register(connection, () =>
    wireRows([
      ["a", "f64", 0, part("0.5")],
      ["b", "u64", 8, part("1")],
      ["c", "u64", 16, part("one")],
      ["lonely", "u64", 24, { kind: "counter", histogram: "other" }],
    ]),
  );
  await until(() => scene.monitor.status().histograms !== undefined, "it is registered");
  const { odd } = scene.monitor.status().histograms!;
  assert.deepEqual({ ...odd }, { h: { count: 0, p50: null, p90: null, p99: null } });
  assert.equal(scene.log.with("the bound le is no number and not +Inf").length, 1);
});

it("what is left in a file is told by its journal", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const worker = await scene.registered({ schema: SCHEMA });
  await worker.ask("observe", { values: [0.5, 1.5] });
  const inspection = Inspection.open(scene.file);
  scene.atEnd(() => inspection.close());
  const { histograms } = JSON.parse(inspection.stringify());
  assert.deepEqual(histograms, {
    web: { seconds: { count: 2, sum: 2, p50: 1, p90: 1.8, p99: 1.98 } },
  });
});
