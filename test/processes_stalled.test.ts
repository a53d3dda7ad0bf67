// Workers whose event loop stands still, in the ways in which that happens.

import assert from "node:assert/strict";
import { unlinkSync, writeFileSync } from "node:fs";
import { it } from "node:test";
import type { Child } from "./support/child.ts";
import { forced } from "./support/mapping.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 90_000 };
/** Within which a worker that stands still is called stalled. */
const PROMISED_MS = 3000;
const LONGEST_TURN_MS = 50;

/** Ways to stand still; each returns what ends it. */
const WAYS: Readonly<Record<string, (worker: Child, scene: Scene) => Promise<() => void>>> = {
  "in a loop of its own": (worker, scene) => whileThereIsAFile("loop", worker, scene),
  "in a synchronous call": (worker, scene) => whileThereIsAFile("wait", worker, scene),
  "stopped by a signal": async (worker) => {
    await worker.stop();
    return () => worker.wake();
  },
};

async function whileThereIsAFile(
  action: "loop" | "wait",
  worker: Child,
  scene: Scene,
): Promise<() => void> {
  const path = scene.path("blocked");
  writeFileSync(path, "");
  await worker.ask(action, { path });
  return () => unlinkSync(path);
}

/**
 * How long it took until a condition held, in time that this process was given: what a busy machine
 * kept from it does not count.
 */
async function timeUntil(condition: () => boolean, what: string): Promise<number> {
  let timeMs = 0;
  let before = performance.now();
  await until(() => {
    const now = performance.now();
    timeMs += Math.min(now - before, LONGEST_TURN_MS);
    before = now;
    return condition();
  }, what);
  return timeMs;
}

for (const [way, stall] of Object.entries(WAYS)) {
  it(`a worker ${way} is stalled until it runs again`, LIMIT, async (t) => {
    const scene = await Scene.supervised(t);
    const { monitor, log } = scene;
    const worker = await scene.registered();
    const other = await scene.registered({ name: "other" });
    await worker.ask("add", { by: 3 });
    const end = await stall(worker, scene);

    // The log line comes by itself: nobody asks the monitor anything meanwhile.
    const line = `Worker 1 of service "web", pid ${worker.pid}, is stalled`;
    const timeMs = await timeUntil(() => log.with(line).length > 0, "it is stalled");
    t.diagnostic(`called stalled after ${Math.round(timeMs)} ms`);
    assert.ok(timeMs <= PROMISED_MS, `it was called stalled after ${timeMs} ms`);
    assert.deepEqual({ ...monitor.stalled() }, { web: 1 });
    const [stalled, running] = monitor.sampleByWorker();
    assert.ok(stalled!.stalledFor! >= 2);
    assert.equal(running!.stalledFor, 0);
    // It is read as before, and in the form of before.
    const { data, stalled: counts } = monitor.status();
    assert.deepEqual({ ...counts }, { web: 1 });
    assert.deepEqual({ ...data.web }, { requests_total: 3, requests_active: 0, worker_count: 1 });
    assert.ok(other.running);

    end();
    await until(() => log.with("runs again").length > 0, "it runs again");
    assert.deepEqual({ ...monitor.stalled() }, {});
    assert.deepEqual(
      monitor.sampleByWorker().map(({ stalledFor }) => stalledFor),
      [0, 0],
    );
    assert.equal(log.with("is stalled").length, 1);
    assert.equal(log.with("runs again").length, 1);
  });
}

it("a worker without a mapping is stalled and recovers as well", {
  ...LIMIT,
  skip: forced,
}, async (t) => {
  const scene = await Scene.supervised(t);
  const worker = await scene.registered({ mapping: "none" });
  await worker.stop();
  await until(() => scene.monitor.stalled().web === 1, "it is stalled");
  worker.wake();
  await until(() => scene.monitor.stalled().web === undefined, "it runs again");
});

it("a worker that shows no heartbeat is never called stalled", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const { monitor } = scene;
  // As many fields as a segment holds.
  const names = Array.from({ length: 64 }, (_, index) => `field_${index}`);
  const full = Object.fromEntries(names.map((name) => [name, "u64"]));
  const silent = [
    await scene.registered({ name: "off", heartbeatMs: 0 }),
    await scene.registered({ name: "full", schema: full }),
    await scene.ruby(),
  ];
  const worker = await scene.registered();
  await until(() => monitor.sampleByWorker().length === 4, "all are registered");
  for (const child of [...silent, worker]) await child.stop();
  await until(() => monitor.stalled().web === 1, "the one with a heartbeat is stalled");
  assert.deepEqual({ ...monitor.stalled() }, { web: 1 });
  const seconds = new Map(
    monitor.sampleByWorker().map(({ service, stalledFor }) => [service, stalledFor]),
  );
  for (const service of ["off", "full", "ruby"]) assert.equal(seconds.get(service), null);
  assert.equal(silent[1]!.logged("no room for a heartbeat").length, 1);
  assert.equal(worker.logged("no room for a heartbeat").length, 0);
});

it("a pause of everybody stalls nobody", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const worker = await scene.registered();
  await worker.stop();
  // The supervisor is in this process.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PROMISED_MS);
  assert.deepEqual({ ...scene.monitor.stalled() }, {});
  // But it is seen if the worker does not come back from it.
  await until(() => scene.monitor.stalled().web === 1, "it is stalled");
  worker.wake();
});

it("a worker is not stalled for having lost its supervisor", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const worker = await scene.registered();
  await scene.supervisor.close();
  await scene.supervise();
  await scene.sees(worker);
  await worker.stop();
  await until(() => scene.monitor.stalled().web === 1, "it is stalled in its new segment");
  worker.wake();
  await until(() => scene.monitor.stalled().web === undefined, "it runs again");
});
