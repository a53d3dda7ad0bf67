// Whatever a worker answers when it registers: no segment leaks, and nobody else notices.
import assert from "node:assert/strict";
import { it } from "node:test";
import type { Handler } from "../host/bus/bindings.ts";
import type { Connection } from "../host/bus/connection.ts";
import { RemoteError } from "../host/bus/errors.ts";
import { symbol } from "../host/bus/values.ts";
import type { WorkerController } from "../host/worker_controller.ts";
import { Bystander } from "./support/bystander.ts";
import { dial, register, wireRows } from "./support/ruby_worker.ts";
import { Scene, type TestContext } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };

/** A supervisor with one ordinary worker. Holders that cannot be seen have a short lease. */
async function stage(t: TestContext, setupTimeoutMs = 5000) {
  const scene = await Scene.supervised(t, { leaseMs: 50, setupTimeoutMs });
  const bystander = await Bystander.enter(scene);
  const free = scene.freeCount;
  const call = (): Connection => {
    const connection = dial(scene.socket);
    scene.atEnd(() => connection.close());
    return connection;
  };
  const leaves = async (connection: Connection, what: string): Promise<void> => {
    connection.close();
    await until(() => scene.supervisor.keys().length === 1, `${what} has left`);
    await until(() => scene.freeCount === free, `the segment of ${what} is free`);
    assert.equal(scene.monitor.detachedCount, 0);
  };
  return { scene, bystander, free, call, leaves };
}

it("a worker that is nil gets an id and no segment", LIMIT, async (t) => {
  const { scene, bystander, free, call, leaves } = await stage(t);
  const connection = call();
  const options = { process_id: process.pid };
  assert.equal(await connection.invoke("supervisor", "register", [null], { options }), 2);
  assert.equal(scene.freeCount, free);
  assert.deepEqual(await connection.invoke("supervisor", "keys"), [1, 2]);
  await bystander.isUnharmed();
  await leaves(connection, "nobody");
});

it("a second registration on one connection is refused, and the first stays", LIMIT, async (t) => {
  const { scene, bystander, free, call, leaves } = await stage(t);
  const connection = call();
  const answer = () => wireRows([["jobs_total", "u64", 0]]);
  assert.equal(await register(connection, answer), 2);
  await assert.rejects(register(connection, answer), {
    className: "RuntimeError",
    message: "Already registered",
  });
  assert.equal(scene.freeCount, free - 1);
  assert.equal(scene.monitor.sample().odd?.worker_count, 1);
  await bystander.isUnharmed();
  await leaves(connection, "the worker");
});

it("the monitor refuses an id that is registered already", LIMIT, async (t) => {
  const { scene, bystander, free } = await stage(t);
  const controller: WorkerController = {
    id: 77,
    processId: null,
    state: {},
    worker: { setupUtilizationObserver: async () => [["x_total", "u64", 0]] },
  };
  const [first, second] = await Promise.allSettled([
    scene.monitor.register(controller),
    scene.monitor.register(controller),
  ]);
  assert.equal(first.status, "fulfilled");
  assert.equal(second.status, "rejected");
  await assert.rejects(scene.monitor.register(controller), /worker 77: it is registered already/);
  assert.equal(scene.freeCount, free - 1);
  assert.equal(scene.monitor.sample().unknown?.worker_count, 1);
  scene.monitor.remove(controller);
  await until(() => scene.freeCount === free, "the segment is free");
  await bystander.isUnharmed();
});

it("a worker that raises is logged once, and leaves nothing", LIMIT, async (t) => {
  const { scene, bystander, free, call, leaves } = await stage(t);
  const connection = call();
  const id = await register(connection, () => {
    throw new RemoteError("on purpose", "ArgumentError");
  });
  assert.equal(id, 2);
  assert.equal(scene.freeCount, free, "it is free while the peer is still there");
  assert.deepEqual(await connection.invoke("supervisor", "keys"), [1, 2]);
  assert.equal(scene.monitor.sampleByWorker().length, 1);
  const lines = scene.log.with("Error setting up worker utilization");
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /on purpose/);
  await bystander.isUnharmed();
  await leaves(connection, "the worker");
});

it("a worker that never answers holds up nobody", LIMIT, async (t) => {
  const { scene, bystander, free, call, leaves } = await stage(t, 300);
  const connection = call();
  let asked = false;
  const registering = register(connection, () => {
    asked = true;
    return new Promise(() => {});
  });
  await until(() => asked, "it was asked");
  await bystander.isUnharmed();
  // Others register and are read in the meantime.
  const other = call();
  assert.equal(await register(other, () => wireRows([["x_total", "u64", 0]]), { name: "x" }), 3);
  assert.equal(scene.monitor.sample().x?.worker_count, 1);
  other.close();
  await until(() => scene.monitor.sample().x === undefined, "the other has left");
  assert.equal(await registering, 2);
  const lines = scene.log.with("Error setting up worker utilization");
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /no answer within 300 ms/);
  assert.equal(scene.monitor.sampleByWorker().length, 1);
  assert.ok(scene.freeCount <= free);
  await leaves(connection, "the worker");
});

it("a worker that leaves while it is asked leaves nothing", LIMIT, async (t) => {
  const { scene, bystander, call, leaves } = await stage(t);
  const connection = call();
  let asked = false;
  register(connection, () => {
    asked = true;
    return new Promise(() => {});
  }).catch(() => {});
  await until(() => asked, "it was asked");
  await leaves(connection, "the worker");
  assert.equal(scene.monitor.sampleByWorker().length, 1);
  await bystander.isUnharmed();
});

const NOTHING: readonly (readonly [string, unknown])[] = [
  ["nil", null],
  ["false", false],
  ["an empty array", []],
  ["an empty map", {}],
  ["an empty string", ""],
  ["a string", "abc"],
  ["a symbol", symbol("abc")],
  ["a map", { a: 1 }],
  ["a number", 7],
  ["NaN", Number.NaN],
  ["4097 rows", Array.from({ length: 4097 }, (_, i) => [symbol(`f${i}`), symbol("u8"), 0])],
];

it("an answer without rows frees the segment at once", LIMIT, async (t) => {
  const { scene, bystander, free, call, leaves } = await stage(t);
  for (const [what, answer] of NOTHING) {
    const connection = call();
    const before = scene.log.with("did not provide utilization schema").length;
    const id = await register(connection, () => answer);
    assert.equal(typeof id, "number", what);
    assert.equal(scene.freeCount, free, what);
    assert.equal(scene.monitor.sampleByWorker().length, 1, what);
    const after = scene.log.with("did not provide utilization schema").length;
    assert.equal(after, before + 1, what);
    await leaves(connection, what);
  }
  await bystander.isUnharmed();
});

/** A row that is dropped, and why. */
const BAD_ROWS: readonly (readonly [unknown, RegExp])[] = [
  [1, /row 1.* is not \[name, type, offset\]/],
  [null, /row 1/],
  ["abc", /row 1/],
  [[], /row 1/],
  [{ a: 1 }, /row 1/],
  [[symbol("a"), symbol("u64")], /"a".* is not \[name, type, offset\]/],
  [[symbol("a"), symbol("u64"), null], /"a".*offset is not a whole number/],
  [[symbol("a"), symbol("u64"), -4], /"a".*offset is not a whole number/],
  [[symbol("a"), symbol("u64"), 1.5], /"a".*offset is not a whole number/],
  [[symbol("a"), symbol("u64"), 2n ** 60n], /"a".*offset is not a whole number/],
  [[symbol("a"), symbol("u64"), -(2n ** 60n)], /"a".*offset is not a whole number/],
  [[symbol("a"), symbol("u64"), Number.NaN], /"a".*offset is not a whole number/],
  [[symbol("a"), symbol("u64"), 505], /"a".*ends at byte 513/],
  [[symbol("a"), symbol("u64"), 2 ** 40], /"a".*ends at byte 1099511627784/],
  [[symbol("a"), symbol("i64"), 0], /"a".*unknown type "i64"/],
  [[symbol("a"), symbol("constructor"), 0], /"a".*unknown type "constructor"/],
  [[symbol("a"), "u64", 0], /"a".*unknown type/],
  [[symbol("a"), 64, 0], /"a".*unknown type/],
  [[symbol(""), symbol("u64"), 0], /name is empty/],
  [[null, symbol("u64"), 0], /name is not a string/],
  [[symbol("worker_count"), symbol("u64"), 0], /"worker_count".*reserved/],
  [[symbol("a\nb"), symbol("u64"), 0], /control character/],
  [[symbol("a"), symbol("u64"), 0, { kind: "clock" }], /"a".*kind/],
  [[symbol("a"), symbol("u64"), 0, [1]], /"a".*options/],
];

it("a bad row is dropped with one warning, and the others count", LIMIT, async (t) => {
  const { scene, bystander, call, leaves } = await stage(t);
  const good = wireRows([["good_total", "u64", 16]])[0];
  for (const [row, reason] of BAD_ROWS) {
    const connection = call();
    const before = scene.log.entries.length;
    const setup: Handler = () => [good, row];
    const id = await register(connection, setup);
    const lines = scene.log.entries.slice(before).filter((line) => line.startsWith("warn"));
    assert.equal(lines.length, 1, `${reason}: ${lines.join("; ")}`);
    assert.match(lines[0]!, reason);
    assert.match(lines[0]!, new RegExp(`of worker ${id} of service "odd"`));
    assert.deepEqual({ ...scene.monitor.sample().odd }, { good_total: 0, worker_count: 1 });
    scene.monitor.sample();
    scene.supervisor.statusText({ totals: true, byWorker: true });
    assert.equal(scene.log.entries.length, before + lines.length + 1, "said once, not per sample");
    await leaves(connection, String(reason));
  }
  await bystander.isUnharmed();
});

it("a worker without a usable row is counted", LIMIT, async (t) => {
  const { scene, bystander, call, leaves } = await stage(t);
  for (const answer of [[[]], [1], [[symbol("a"), symbol("i32"), 0]]]) {
    const connection = call();
    await register(connection, () => answer);
    assert.deepEqual({ ...scene.monitor.sample().odd }, { worker_count: 1 });
    await leaves(connection, JSON.stringify(answer));
  }
  await bystander.isUnharmed();
});

it("a schema wider than its segment does not read the neighbour's", LIMIT, async (t) => {
  const { scene, bystander, call, leaves } = await stage(t);
  const connection = call();
  const names = Array.from({ length: 66 }, (_, index) => `f${index}`);
  await register(connection, () => wireRows(names.map((name, i) => [name, "u64", 8 * i] as const)));
  // Its neighbour begins where f64 would be.
  const neighbour = await scene.registered();
  await neighbour.ask("add", { by: 99 });
  const sample = scene.monitor.sample().odd!;
  assert.deepEqual(Object.keys(sample), [...names.slice(0, 64), "worker_count"]);
  assert.ok(names.slice(0, 64).every((name) => sample[name] === 0));
  assert.equal(scene.log.with("Dropped field").length, 2);
  assert.equal(scene.monitor.sample().web?.requests_total, 99);
  await neighbour.ask("close");
  await until(() => scene.supervisor.keys().length === 2, "the neighbour has left");
  await bystander.isUnharmed();
  await leaves(connection, "the worker");
});

it("a registration of the wrong shape is answered with an error", LIMIT, async (t) => {
  const { scene, bystander, free, call } = await stage(t);
  const state = new Map([[symbol("name"), "odd"]]);
  const cases: readonly (readonly [unknown[], Record<string, unknown>, string])[] = [
    [[null], {}, "ArgumentError"],
    [[null], { state }, "ArgumentError"],
    [[null], { process_id: 1, state: 7 }, "TypeError"],
    [[null], { process_id: 1, state: [1] }, "TypeError"],
    [["worker"], { process_id: 1 }, "TypeError"],
    [[42], { process_id: 1 }, "TypeError"],
  ];
  const connection = call();
  for (const [positional, options, className] of cases) {
    const answer = connection.invoke("supervisor", "register", positional, { options });
    await assert.rejects(answer, { className }, JSON.stringify(options));
  }
  // None of them has used up the connection.
  assert.equal(await register(connection, () => []), 2);
  assert.equal(scene.freeCount, free);
  await bystander.isUnharmed();
});

it("names of services may be anything", LIMIT, async (t) => {
  const { scene, bystander, call } = await stage(t);
  const names: readonly (readonly [unknown, string])[] = [
    [null, "unknown"],
    [false, "unknown"],
    [7, "7"],
    [2n ** 60n, "1152921504606846976"],
    [{ a: [2n ** 60n, Number.NaN] }, '{"a":[1152921504606846976,null]}'],
    [Uint8Array.of(0xff), '{"0":255}'],
    [symbol("web"), "web"],
    ["web", "web"],
    ["__proto__", "__proto__"],
    ["constructor", "constructor"],
    ["x".repeat(1000), "x".repeat(255)],
  ];
  const counts = new Map<string, number>();
  for (const [name, service] of names) {
    const connection = call();
    const worker = connection.bind("worker", {
      setup_utilization_observer: () => wireRows([["a_total", "u64", 0]]),
    });
    const options = { process_id: null, state: new Map([[symbol("name"), name]]) };
    await connection.invoke("supervisor", "register", [worker], { options });
    counts.set(service, (counts.get(service) ?? 0) + 1);
  }
  for (const [service, count] of counts) {
    assert.equal(scene.monitor.sample()[service]?.worker_count, count, service);
    assert.equal(JSON.parse(scene.monitor.stringify())[service].worker_count, count, service);
  }
  await bystander.isUnharmed();
});
