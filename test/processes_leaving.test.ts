// Workers that die, that lose their connection, and that come back: each counter is in the totals
// exactly once, always.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { unmapped } from "./support/mapping.ts";
import { dial, register, wireRows } from "./support/ruby_worker.ts";
import { SCHEMA, Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";
import { Watch } from "./support/watch.ts";

const LIMIT = { timeout: 60_000 };

it("the last counts of a killed worker stay in the totals, and nothing else", {
  ...LIMIT,
  skip: unmapped,
}, async (t) => {
  // One segment: the next worker gets this one.
  const scene = await Scene.supervised(t, { size: 512, maxSize: 512, reuseDelayMs: 0 });
  const worker = await scene.registered();
  await worker.ask("add", { field: "requests_active", by: 9 });
  await worker.ask("spin");
  await until(() => scene.total("web") > 1000n, "it counts");

  // Stopped, so that its last store can be known; it has never stopped counting by itself.
  await worker.stop();
  const last = readFileSync(scene.file).readBigUInt64LE(0);
  const watch = Watch.constant(scene, "web", "requests_total", last);
  worker.signal("SIGKILL");
  const first = await until(
    () => scene.supervisor.keys().length === 0 && scene.monitor.sample(),
    "its connection is closed",
  );
  assert.deepEqual({ ...first }, {});
  await until(() => scene.freeCount === 1, "its segment is free");
  await watch.end();
  assert.equal(scene.total("web"), last);
  assert.deepEqual(
    { ...scene.monitor.totals({ bigint: true }).web },
    {
      requests_total: last,
      worker_count: 0,
    },
  );

  // The next holder does not touch its segment at all, and must not show what was there.
  const next = dial(scene.socket);
  scene.atEnd(() => next.close());
  const rows = [
    ["requests_total", "u64", 0],
    ["requests_active", "u32", 8],
  ] as const;
  await register(next, () => wireRows(rows), { name: "web" });
  assert.deepEqual(
    { ...scene.monitor.sample().web },
    {
      requests_total: 0,
      requests_active: 0,
      worker_count: 1,
    },
  );
  assert.equal(scene.total("web"), last);
});

it("totals stay exact whenever connections are cut", LIMIT, async (t) => {
  const scene = await Scene.supervised(t, { reuseDelayMs: 0 });
  const proxy = await scene.cuttable();
  const here = { socket: proxy.path };
  const mapped = await scene.registered(here);
  const unmapped = await scene.registered({ ...here, mapping: "none", flushMs: 5 });
  const pair = await scene.registered(here);
  await pair.ask("open", { ...here, key: "second", name: "web", schema: SCHEMA });
  await scene.sees(pair, 2);
  const parts: [typeof pair, object][] = [
    [mapped, { by: 1 }],
    [unmapped, { by: 10 }],
    [pair, { by: 100 }],
    [pair, { by: 1000, key: "second" }],
  ];
  for (const [worker, part] of parts) await worker.ask("add", part);
  await scene.sums("web", "requests_total", 1111);

  const watch = Watch.constant(scene, "web", "requests_total", 1111n);
  const free = scene.freeCount;
  let known = 4;
  for (let round = 0; round < 5; round++) {
    proxy.cut();
    await until(
      () => scene.monitor.sampleByWorker().filter(({ id }) => id > known).length === 4,
      "all four have registered again",
    );
    known = Math.max(...scene.supervisor.keys());
    assert.equal(scene.monitor.sample().web?.worker_count, 4);
  }
  await watch.end();
  assert.equal(scene.freeCount, free);
  assert.equal(scene.monitor.detachedCount, 0);
});

it("totals stay exact when workers without an incarnation come back", {
  ...LIMIT,
  skip: unmapped,
}, async (t) => {
  const scene = await Scene.supervised(t, { reuseDelayMs: 0 });
  const { socket } = scene;
  const alone = await scene.ruby();
  await alone.ask("add", { by: 1 });
  // Two of one process, service and schema: only what they have counted tells them apart.
  const pair = await scene.ruby();
  await pair.ask("register", { key: "second", name: "ruby", socket });
  await pair.ask("add", { by: 100 });
  await pair.ask("add", { key: "second", by: 250 });

  const watch = Watch.constant(scene, "ruby", "jobs_total", 351n);
  const free = scene.freeCount;
  for (let round = 0; round < 3; round++) {
    await alone.ask("drop");
    await pair.ask("drop");
    await pair.ask("drop", { key: "second" });
    await until(() => scene.monitor.sampleByWorker().length === 0, "all have gone from view");
    scene.monitor.checkHolders();
    // Back in the other order each time.
    const keys = round % 2 === 0 ? ["main", "second"] : ["second", "main"];
    for (const key of keys) await pair.ask("register", { key, name: "ruby", socket });
    await alone.ask("register", { name: "ruby", socket });
    assert.equal(scene.monitor.sample().ruby?.jobs_total, 351);
    assert.equal(scene.monitor.sample().ruby?.worker_count, 3);
  }
  await watch.end();
  assert.equal(scene.freeCount, free);

  // A new worker of the same process has counted nothing: it is not one that has come back.
  await pair.ask("drop");
  await until(() => scene.monitor.sampleByWorker().length === 2, "one has gone from view");
  await pair.ask("register", { key: "third", name: "ruby", socket });
  await pair.ask("add", { key: "third", by: 1000 });
  assert.equal(scene.total("ruby", "jobs_total"), 1351n);
  await pair.kill();
  await until(() => scene.freeCount === free + 2, "their segments are free");
  assert.equal(scene.total("ruby", "jobs_total"), 1351n);
});

it(
  "a worker that cannot be seen is retired after a lease, and may still return",
  LIMIT,
  async (t) => {
    const scene = await Scene.supervised(t, { leaseMs: 300, reuseDelayMs: 0 });
    const free = scene.freeCount;
    const worker = await scene.ruby({ mapping: "none" });
    await worker.ask("add", { by: 42 });
    assert.equal(scene.total("ruby", "jobs_total"), 42n);
    const watch = Watch.constant(scene, "ruby", "jobs_total", 42n);
    await worker.ask("drop");
    await until(() => scene.monitor.sampleByWorker().length === 0, "it has gone from view");
    assert.equal(scene.monitor.detachedCount, 1);
    await until(() => scene.freeCount === free, "its lease has ended");
    await worker.ask("register", { name: "ruby", socket: scene.socket });
    assert.equal(scene.monitor.sample().ruby?.jobs_total, 42);
    await watch.end();
  },
);

it("a stopped worker keeps its segment, and its total, without a connection", LIMIT, async (t) => {
  const scene = await Scene.supervised(t, { size: 1024, maxSize: 1024, reuseDelayMs: 0 });
  const proxy = await scene.cuttable();
  const worker = await scene.registered({ socket: proxy.path });
  await worker.ask("count");
  await until(() => scene.total("web") > 100n, "it counts");
  await worker.stop();
  const rising = Watch.rising(scene, "web", "requests_total", 1);
  const frozen = scene.total("web");
  proxy.cut();
  await until(() => scene.monitor.sampleByWorker().length === 0, "it has gone from view");
  for (let i = 0; i < 20; i++) scene.monitor.checkHolders();
  assert.equal(scene.monitor.detachedCount, 1);
  assert.equal(scene.freeCount, 1);
  assert.equal(scene.total("web"), frozen);

  worker.wake();
  await scene.sees(worker);
  await worker.ask("rest");
  await rising.end();
  assert.equal(scene.total("web"), BigInt(await worker.ask<string>("read")));
  assert.equal(scene.monitor.detachedCount, 0);
});

it("a busy worker counts on without a connection, and is not counted twice", {
  ...LIMIT,
  skip: unmapped,
}, async (t) => {
  const scene = await Scene.supervised(t);
  const proxy = await scene.cuttable();
  const worker = await scene.registered({ socket: proxy.path });
  const rising = Watch.rising(scene, "web", "requests_total", 1);
  await worker.ask("spin", { forMs: 1500 });
  await until(() => scene.total("web") > 0n, "it counts");
  proxy.cut();
  await until(() => scene.monitor.sampleByWorker().length === 0, "it has gone from view");
  const then = scene.total("web");
  await until(() => scene.total("web") > then, "its total rises without a connection");
  await scene.sees(worker);
  await rising.end();
  assert.equal(scene.total("web"), BigInt(await worker.ask<string>("read")));
});

for (const mapping of [undefined, "none"]) {
  const how = mapping ?? "default";
  it(`totals never fall while workers count and are cut off, mapping ${how}`, LIMIT, async (t) => {
    const scene = await Scene.supervised(t, { reuseDelayMs: 0 });
    const proxy = await scene.cuttable();
    const options = { socket: proxy.path, flushMs: 5, ...(mapping && { mapping }) };
    const workers = [await scene.registered(options), await scene.registered(options)];
    const victim = await scene.registered(options);
    for (const worker of [...workers, victim]) await worker.ask("count");
    const rising = Watch.rising(scene, "web", "requests_total", 3);
    for (let round = 0; round < 8; round++) {
      const known = Math.max(...scene.supervisor.keys());
      proxy.cut();
      await until(
        () => Math.max(0, ...scene.monitor.sampleByWorker().map(({ id }) => id)) > known,
        "the first one is back",
      );
      if (round === 4) {
        await victim.ask("rest");
        await scene.sees(victim);
      }
    }
    for (const worker of workers) await worker.ask("rest");
    const values = [];
    for (const worker of [...workers, victim]) {
      values.push(BigInt(await worker.ask<string>("read")));
      await scene.sees(worker);
    }
    const sum = values.reduce((a, b) => a + b);
    await until(() => scene.total("web") === sum, "the total is exact");
    await victim.kill();
    await until(() => scene.monitor.sample().web?.worker_count === 2, "it has gone from view");
    await until(() => scene.monitor.detachedCount === 0, "it is retired");
    await rising.end();
    assert.equal(scene.total("web"), sum);
  });
}

it("a worker killed while it has no connection is retired exactly", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const free = scene.freeCount;
  const proxy = await scene.cuttable();
  const worker = await scene.registered({ socket: proxy.path });
  proxy.cut({ open: false });
  await until(() => scene.monitor.detachedCount === 1, "its segment is detached");
  await worker.ask("add", { by: 77 });
  assert.equal(scene.total("web"), 77n);
  await worker.kill();
  await until(() => scene.freeCount === free, "its segment is free");
  assert.equal(scene.total("web"), 77n);
});

it("a worker never goes back to a segment that may be another's by now", LIMIT, async (t) => {
  // Two segments: whoever comes next gets the one that is free.
  const scene = await Scene.supervised(t, { size: 1024, maxSize: 1024, reuseDelayMs: 0 });
  const proxy = await scene.cuttable();
  const worker = await scene.registered({ socket: proxy.path });
  await worker.ask("add", { by: 10 });
  // The supervisor counts it in its second segment, and has freed its first, but the worker does
  // not get to know that.
  proxy.cutBeforeConfirmation();
  await until(
    () => proxy.size === 0 && scene.log.with("Registered worker utilization").length === 2,
    "it was cut off again",
  );
  const other = await scene.registered({ name: "other" });
  await other.ask("add", { by: 1 });
  await worker.ask("add", { by: 100 });
  assert.equal(scene.total("other"), 1n);
  assert.equal(await other.ask("read"), "1");
  assert.equal(scene.total("web"), 110n);
  proxy.open();
});

it("a worker that moved and dies before that is known is counted to the last", LIMIT, async (t) => {
  const scene = await Scene.supervised(t, { reuseDelayMs: 0 });
  const proxy = await scene.cuttable();
  const worker = await scene.worker({ socket: proxy.path, flushMs: 1 });
  await scene.sees(worker);
  await worker.ask("add", { by: 10 });
  await scene.sums("web", "requests_total", 10);
  // It registers again, is given another segment and moves there, and its answer is lost.
  proxy.swallow();
  proxy.cut();
  const free = scene.freeCount;
  await until(() => scene.freeCount < free, "it is given another segment");
  await until(async () => {
    await worker.ask("add", { by: 1 });
    return readFileSync(scene.file).readBigUInt64LE(512) > 10n;
  }, "it counts there");
  const last = BigInt(await worker.ask<string>("read"));
  await until(() => readFileSync(scene.file).readBigUInt64LE(512) === last, "all is in the file");
  await worker.kill();
  await until(() => scene.monitor.detachedCount === 0, "all of it is retired");
  assert.equal(scene.total("web"), last);
  assert.equal(scene.freeCount, free + 1);
});
