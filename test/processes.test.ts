// Our workers in processes of their own, and what the monitor reads of them.

import assert from "node:assert/strict";
import { it } from "node:test";
import { unmapped } from "./support/mapping.ts";
import { SCHEMA, Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };

it("sums and views are exact for four processes of two services", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const workers = [];
  for (const [index, name] of ["web", "web", "jobs", "jobs"].entries()) {
    const worker = await scene.registered({ name });
    await worker.ask("add", { by: 1000 + index });
    await worker.ask("add", { field: "requests_active", by: index });
    workers.push(worker);
  }
  assert.deepEqual(
    scene.monitor.sample(),
    nullPrototypes({
      web: { requests_total: 2001, requests_active: 1, worker_count: 2 },
      jobs: { requests_total: 2005, requests_active: 5, worker_count: 2 },
    }),
  );
  assert.deepEqual(
    scene.monitor.totals(),
    nullPrototypes({
      web: { requests_total: 2001, worker_count: 2 },
      jobs: { requests_total: 2005, worker_count: 2 },
    }),
  );
  const byWorker = scene.monitor.sampleByWorker();
  assert.deepEqual(
    byWorker.map(({ id, processId, service, data }) => [id, processId, service, { ...data }]),
    workers.map(({ pid }, index) => [
      index + 1,
      pid,
      index < 2 ? "web" : "jobs",
      { requests_total: 1000 + index, requests_active: index },
    ]),
  );
});

it("a fifth worker grows the file, and the first four stay readable", LIMIT, async (t) => {
  const scene = await Scene.supervised(t, { size: 4 * 512 });
  const workers = [];
  for (let i = 0; i < 4; i++) workers.push(await scene.registered());
  for (const worker of workers) await worker.ask("count");
  assert.equal(scene.freeCount, 0);
  assert.equal(scene.monitor.allocator?.size, 2048);

  const fifth = await scene.registered();
  await fifth.ask("add", { by: 5 });
  assert.equal(scene.monitor.allocator?.size, 4096);
  assert.equal(scene.log.with("Resized shared memory").length, 1);

  // All four are seen to count on in the mappings that they have.
  const before = scene.monitor.sampleByWorker().map(({ data }) => data.requests_total!);
  await until(
    () =>
      scene.monitor
        .sampleByWorker()
        .slice(0, 4)
        .every(({ data }, index) => data.requests_total! > before[index]!),
    "the first four workers go on counting",
  );
  for (const worker of workers) await worker.ask("rest");
  let sum = 5n;
  for (const worker of workers) sum += BigInt(await worker.ask<string>("read"));
  const sample = scene.monitor.sample({ bigint: true });
  assert.equal(sample.web?.requests_total, sum);
  assert.equal(sample.web?.worker_count, 5);
});

it("the counter of a worker in an endless loop rises in samples", {
  ...LIMIT,
  skip: unmapped,
}, async (t) => {
  const scene = await Scene.supervised(t);
  const other = await scene.registered({ name: "other" });
  const worker = await scene.registered();
  await worker.ask("spin");
  let last = 0;
  for (let round = 0; round < 5; round++) {
    const seen = last;
    last = await until(() => {
      const { requests_total: now } = scene.monitor.sample().web!;
      return Number(now) > seen && Number(now);
    }, "its counter rises");
  }
  // It is in no state to answer, and others do not notice.
  await other.ask("add", { by: 3 });
  assert.equal(scene.monitor.sample().other?.requests_total, 3);
  const third = await scene.registered({ name: "third" });
  assert.ok(third.running);
});

it("sums beyond 64 bits are exact as bigints and as text", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const values = [2n ** 64n - 1n, 2n ** 64n - 3n];
  for (const value of values) {
    const worker = await scene.registered();
    await worker.ask("set", { value: String(value) });
  }
  const sum = 2n ** 65n - 4n;
  const { monitor } = scene;
  assert.equal(monitor.sample({ bigint: true }).web?.requests_total, sum);
  assert.equal(monitor.totals({ bigint: true }).web?.requests_total, sum);
  assert.equal(
    monitor.stringify(),
    `{"web":{"requests_total":${sum},"requests_active":0,"worker_count":2}}`,
  );
  assert.equal(JSON.parse(JSON.stringify(monitor)).web.requests_total, Number(sum));
});

it(
  "close() frees the segment at once, and what comes back is not counted twice",
  LIMIT,
  async (t) => {
    // Nothing but the goodbye frees a segment within this lease.
    const scene = await Scene.supervised(t, { reuseDelayMs: 0 });
    const free = scene.freeCount;
    const worker = await scene.registered();
    await worker.ask("add", { by: 10 });
    assert.equal(scene.freeCount, free - 1);

    await worker.ask("close");
    // The goodbye has been answered: no later event is needed.
    assert.equal(scene.freeCount, free);
    assert.equal(scene.monitor.detachedCount, 0);
    assert.deepEqual({ ...scene.monitor.sample() }, {});
    assert.equal(scene.total("web"), 10n);
    assert.equal(scene.monitor.totals().web?.worker_count, 0);
    assert.equal("requests_active" in scene.monitor.totals().web!, false);

    await worker.ask("add", { by: 5 });
    assert.equal(scene.total("web"), 10n);
    await worker.ask("run");
    await scene.sees(worker);
    assert.equal(scene.total("web"), 15n);
    await scene.sums("web", "requests_total", 15);

    await worker.ask("close");
    await worker.ask("close");
    assert.equal(scene.total("web"), 15n);
    assert.equal(scene.freeCount, free);
  },
);

it("two supervisors work side by side", LIMIT, async (t) => {
  const one = await Scene.supervised(t);
  const two = await Scene.supervised(t);
  const a = await one.registered();
  const b = await two.registered();
  await a.ask("add", { by: 1 });
  await b.ask("add", { by: 2 });
  assert.equal(one.monitor.sample().web?.requests_total, 1);
  assert.equal(two.monitor.sample().web?.requests_total, 2);
  // One process may report to both.
  await a.ask("open", { key: "second", name: "web", schema: SCHEMA, socket: two.socket });
  await two.sees(a);
  await a.ask("add", { key: "second", by: 40 });
  assert.equal(one.total("web"), 1n);
  assert.equal(two.total("web"), 42n);
  await one.supervisor.close();
  assert.equal(two.total("web"), 42n);
  await b.ask("add", { by: 1 });
  assert.equal(two.total("web"), 43n);
});

it("a registry that is registered twice is counted once", LIMIT, async (t) => {
  const scene = await Scene.supervised(t, { reuseDelayMs: 0 });
  const free = scene.freeCount;
  const worker = await scene.registered();
  await worker.ask("add", { by: 6 });
  await worker.ask("again");
  await until(() => scene.supervisor.keys().length === 2, "it has registered twice");
  await until(async () => {
    const { id } = await worker.ask<{ id: number | null }>("state", { key: "again" });
    return id === 2;
  }, "the second worker is registered");
  await worker.ask("add", { by: 1 });
  assert.equal(scene.monitor.sample().web?.worker_count, 1);
  assert.equal(scene.monitor.sample().web?.requests_total, 7);
  assert.equal(scene.freeCount, free - 1);
  await worker.kill();
  await until(() => scene.freeCount === free, "its segment is free");
  assert.equal(scene.total("web"), 7n);
});

it("relative paths are those of the supervisor's folder", LIMIT, async (t) => {
  const scene = new Scene(t);
  const supervisor = scene.child("supervisor_process");
  await supervisor.ask("listen", { folder: scene.folder, socket: "a.ipc", path: "a.shm" });
  const worker = await scene.worker();
  await worker.ask("add", { by: 4 });
  await until(async () => {
    const { web } = await supervisor.ask<Record<string, Record<string, number>>>("sample");
    return web?.requests_total === 4;
  }, "it is read");
});

/** As results are: objects without a prototype. */
function nullPrototypes(data: Record<string, Record<string, number>>) {
  const result = Object.create(null);
  for (const [name, values] of Object.entries(data)) {
    result[name] = Object.assign(Object.create(null), values);
  }
  return result;
}
