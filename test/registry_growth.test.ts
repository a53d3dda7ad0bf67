// Fields that are added to a registry, before and after its worker has registered.

import assert from "node:assert/strict";
import { it } from "node:test";
import { Registry } from "../host/registry.ts";
import { Schema } from "../host/schema.ts";
import { Supervisor } from "../host/supervisor.ts";
import { UtilizationMonitor } from "../host/utilization_monitor.ts";
import { Worker } from "../host/worker.ts";
import type { WorkerController } from "../host/worker_controller.ts";
import { CollectingLogger } from "./support/log.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };

function makeRegistry(log = new CollectingLogger()): Registry {
  return new Registry(Schema.build({ requests_total: "u64", busy: "u8" }) as Schema, { log });
}

/** A worker that runs until the test ends. */
function start(scene: Scene, registry: Registry): Worker {
  const { socket, log } = scene;
  const worker = new Worker({ name: "web", registry, socket, log }).run();
  scene.atEnd(() => worker.close());
  return worker;
}

it("with() puts a field behind the others and the heartbeat, and moves neither", () => {
  const schema = Schema.build({ requests_total: "u64", busy: "u8" });
  assert.equal(schema.heartbeatOffset, 12);
  const larger = schema.with("a", "u8").with("b", { type: "f64", aggregate: "max" });
  assert.deepEqual(
    larger.fields.map(({ name, offset }) => [name, offset]),
    [
      ["requests_total", 0],
      ["busy", 8],
      ["a", 16],
      ["b", 24],
    ],
  );
  assert.equal(larger.heartbeatOffset, 12);
  assert.equal(larger.field("b")?.aggregate, "max");
  const first = larger.within(17);
  assert.deepEqual([first.size, first.heartbeatOffset, first.field("b")], [17, 12, undefined]);
  assert.throws(() => larger.with("busy", "u8"), /Cannot build field "busy": the name is taken/);
  assert.throws(() => larger.with("c", "u7" as "u8"), /unknown type "u7"/);
  assert.throws(() => larger.with("", "u8"), /the name is empty/);
});

it("fit() leaves out what a segment does not hold, and takes it back in", () => {
  const log = new CollectingLogger();
  const registry = makeRegistry(log);
  const names = ["a", "b", "c"];
  const metrics = names.map((name) => registry.add(name, "u64"));
  for (const metric of metrics) metric.increment(2);
  assert.equal(registry.schema.fields.length, 5);
  registry.fit(32);
  assert.deepEqual(
    registry.schema.fields.map(({ name }) => name),
    ["requests_total", "busy", "a", "b"],
  );
  registry.add("d", "u8").increment();
  registry.fit(4);
  assert.equal(registry.schema.fields.length, 2);
  registry.fit(64);
  assert.equal(registry.schema.fields.length, 6);
  assert.deepEqual(
    [...names, "d"].map((name) => registry.metric(name).value),
    [2, 2, 2, 1],
  );
  assert.deepEqual(log.lines, [
    'No room for metric "c": a segment has 32 bytes, 40 are needed (--segment-size)',
  ]);
});

it(
  "a worker registers anew with all values, and is in every sample meanwhile",
  LIMIT,
  async (t) => {
    const scene = await Scene.supervised(t);
    const registry = makeRegistry();
    const { log } = scene;
    start(scene, registry);
    registry.metric("requests_total").increment(5);
    await until(() => scene.monitor.sample().web?.requests_total === 5, "it is registered");

    for (let round = 1; round <= 3; round++) {
      const field = `field_${round}`;
      const metric = registry.add(field, "u32");
      metric.increment(round);
      registry.metric("requests_total").increment();
      await until(() => {
        const { web } = scene.monitor.sample();
        assert.equal(web?.worker_count, 1);
        assert.ok(web.requests_total! >= 5 + round - 1);
        return web[field] === round && web.requests_total === 5 + round;
      }, `${field} is seen`);
      metric.increment();
      registry.observer?.flush();
      assert.equal(scene.monitor.sample().web?.[field], round + 1);
    }
    await until(() => scene.supervisor.keys().length === 1, "the old connections are closed");
    assert.equal(scene.monitor.detachedCount, 0);
    assert.equal(scene.total("web"), 8n);
    assert.equal(log.with("Registered with").length, 1);
    assert.equal(log.with("Lost supervisor").length, 0);
    const [{ stalledFor } = { stalledFor: null }] = scene.monitor.sampleByWorker();
    assert.equal(stalledFor, 0);
  },
);

it(
  "fields that are added while the supervisor is away are told to the next one",
  LIMIT,
  async (t) => {
    const scene = await Scene.supervised(t);
    const registry = makeRegistry();
    const worker = start(scene, registry);
    await until(() => worker.id !== null, "it is registered");
    registry.add("early", "u8").increment();
    await scene.supervisor.close();
    registry.add("late", "u8").increment();
    await scene.supervise();
    await until(() => scene.monitor.sample().web?.late === 1, "both are seen");
    assert.equal(scene.monitor.sample().web?.early, 1);
  },
);

it("a worker that is refused under its new fields stays as it was", LIMIT, async (t) => {
  const scene = await Scene.supervised(t, { size: 64, segmentSize: 64, maxSize: 64 });
  const registry = makeRegistry();
  const { log } = scene;
  const worker = start(scene, registry);
  const requests = registry.metric("requests_total");
  await until(() => worker.id !== null, "it is registered");
  // There is one segment, and it is its own.
  registry.add("field", "u8").increment();
  await until(() => log.with("gave no segment").length > 0, "it is told that there is no other");
  requests.increment(3);
  registry.observer?.flush();
  assert.equal(scene.monitor.sample().web?.requests_total, 3);
  assert.equal(scene.monitor.sample().web?.worker_count, 1);

  // That it is gone is noticed by the connection that counts, whatever became of the other one.
  await scene.supervisor.close();
  await until(() => log.with("Lost supervisor").length === 1, "it has lost the supervisor");
  assert.equal(worker.id, null);
  await scene.supervise({ size: 4096, segmentSize: 64, maxSize: 4096 });
  await until(() => scene.monitor.sample().web?.field === 1, "it is back, with its new field");
});

it("a worker whose second connection is refused is registered by its first", LIMIT, async (t) => {
  const scene = await Scene.supervised(t, { peerLimits: { connections: 1 } });
  const registry = makeRegistry();
  const { log } = scene;
  const worker = start(scene, registry);
  await until(() => worker.id !== null, "it is registered");
  registry.add("field", "u8").increment();
  await until(() => scene.supervisor.limitsReached.connections! > 0, "another one is refused");
  await until(() => scene.supervisor.keys().length === 1, "the first one is left");
  assert.notEqual(worker.id, null);
  assert.equal(log.with("Lost supervisor").length, 0);
  await worker.close();
  assert.equal(scene.monitor.detachedCount, 0);
  assert.equal(scene.monitor.sample().web, undefined);
});

it("a worker that is closed while it registers anew takes no other segment", LIMIT, async (t) => {
  const scene = new Scene(t);
  const { socket, log } = scene;
  const monitor = new UtilizationMonitor({ path: scene.file, log });
  const registry = makeRegistry();
  const worker = new Worker({ name: "web", registry, socket, log });
  let closing: Promise<void> | null = null;
  let isRenewed = false;
  const watching = {
    open: () => monitor.open(),
    close: () => monitor.close(),
    remove: (controller: WorkerController) => monitor.remove(controller),
    unregister: (controller: WorkerController) => monitor.unregister(controller),
    status: () => monitor.status(),
    register(controller: WorkerController) {
      const registering = monitor.register(controller);
      // The call to the worker is on its way.
      if (isRenewed) closing ??= worker.close();
      return registering;
    },
  };
  const supervisor = await Supervisor.listen({ socket, monitors: [watching], log });
  scene.atEnd(() => supervisor.close());
  worker.run();
  await until(() => worker.id !== null, "it is registered");
  registry.metric("requests_total").increment(5);
  isRenewed = true;
  registry.add("field", "u8");
  await until(() => closing !== null, "it registers anew");
  await closing;
  await until(() => monitor.detachedCount === 0, "nothing is left of it");
  assert.equal(registry.observer, null);
  registry.metric("requests_total").increment(100);
  assert.equal(monitor.totals().web?.requests_total, 5);
});
