// Every way of mapping that loads here, in workers and in supervisors, on one file.

import assert from "node:assert/strict";
import { once } from "node:events";
import { statSync } from "node:fs";
import { it } from "node:test";
import { Worker as Thread } from "node:worker_threads";
import type { MappingName } from "../host/mapping/name.ts";
import { fixturePath } from "./support/child.ts";
import { forced, loads } from "./support/mapping.ts";
import { isDeno } from "./support/runtime.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";
import { Watch } from "./support/watch.ts";

const LIMIT = { timeout: 60_000 };
/** mmap-io cannot. */
const THREAD_MAPPING: MappingName = isDeno ? "deno" : "koffi";
const MAPPINGS = (["mmap-io", "koffi", "deno", "none"] as const).filter(loads);

it("workers of every mapping share a file with supervisors of every mapping", LIMIT, async (t) => {
  const scene = await Scene.supervised(t, { mapping: MAPPINGS[0]! });
  const workers = [];
  for (const mapping of MAPPINGS) {
    const worker = await scene.registered({ name: mapping, mapping, flushMs: 5 });
    await until(async () => {
      const state = await worker.ask<{ id: number | null; mapping: string }>("state");
      return state.id !== null && state.mapping === mapping;
    }, `a worker maps with ${mapping}`);
    workers.push(worker);
  }
  let counted = 0;
  for (const [index, mapping] of MAPPINGS.entries()) {
    if (index > 0) {
      await scene.supervisor.close();
      await scene.supervise({ mapping });
    }
    assert.equal(scene.monitor.mapping, mapping);
    for (const worker of workers) await scene.sees(worker);
    for (const worker of workers) await worker.ask("add", { by: 11 });
    counted += 11;
    for (const name of MAPPINGS) await scene.sums(name, "requests_total", counted);
    assert.deepEqual(
      scene.monitor
        .sampleByWorker()
        .map((worker) => [worker.service, worker.mapping])
        .sort(),
      MAPPINGS.map((name) => [name, name]).sort(),
    );
  }
});

for (const mapping of MAPPINGS) {
  it(
    `a supervisor that reads through ${mapping} retires workers and grows its file`,
    LIMIT,
    async (t) => {
      const scene = await Scene.supervised(t, { mapping, size: 1024, reuseDelayMs: 0 });
      const first = await scene.registered();
      await first.ask("add", { by: 1 });
      const second = await scene.registered();
      await second.ask("add", { by: 2 });
      const watch = Watch.rising(scene, "web", "requests_total", 3);
      const third = await scene.registered();
      await third.ask("add", { by: 4 });
      assert.equal(statSync(scene.file).size, 4096);
      await scene.sums("web", "requests_total", 7);
      await first.kill();
      await until(() => scene.monitor.sample().web?.worker_count === 2, "it is gone");
      await first.exited;
      await until(() => scene.monitor.detachedCount === 0, "it is retired");
      await watch.end();
      assert.equal(scene.monitor.sample().web?.requests_total, 6);
      assert.equal(scene.total("web"), 7n);
    },
  );
}

it("a worker in a thread maps", {
  ...LIMIT,
  skip: forced || !loads(THREAD_MAPPING),
}, async (t) => {
  const supervised = new Scene(t);
  // In a process of its own: this one must not map the file, or the thread would never be gone.
  const supervisor = supervised.child("supervisor_process");
  const { socket, file: path } = supervised;
  await supervisor.ask("listen", { socket, path });
  for (const mapping of [THREAD_MAPPING, undefined]) {
    const options = { workerData: { socket, mapping }, stderr: true };
    const thread = new Thread(fixturePath("worker_thread"), options);
    supervised.atEnd(() => thread.terminate());
    assert.deepEqual(await once(thread, "message"), [THREAD_MAPPING]);
    const sample = await supervisor.ask<Record<string, object>>("sample");
    assert.deepEqual(sample.thread, { requests_total: 12, worker_count: 1 });
    thread.postMessage("end");
    const [code] = await once(thread, "exit");
    assert.equal(code, 0);
    assert.deepEqual(await supervisor.ask("sample"), {});
  }
  assert.deepEqual(await supervisor.ask("totals"), {
    thread: { requests_total: 24, worker_count: 0 },
  });
});

it("requireMapping refuses to be seen without one", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const free = scene.freeCount;
  const worker = await scene.worker({ mapping: "none", requireMapping: true });
  await until(() => worker.logged("without a mapping").length > 0, "it says why");
  await until(() => scene.supervisor.keys().length === 0, "it has gone again");
  assert.equal(scene.freeCount, free);
  assert.equal(scene.monitor.detachedCount, 0);
  assert.equal(worker.log.length, 1, worker.log.join("\n"));
  // It counts all the same.
  await worker.ask("add", { by: 1 });
  assert.equal(await worker.ask("read"), "1");

  const native = MAPPINGS.find((name) => name !== "none");
  if (native === undefined) return;
  const mapped = await scene.registered({ mapping: native, requireMapping: true });
  await mapped.ask("add", { by: 2 });
  assert.equal(scene.total("web"), 2n);
});

it("requireMapping holds where the environment forbids to map", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const worker = scene.child("worker_process", { UTILIZATION_MAPPING: "none" });
  const options = { name: "web", schema: { requests_total: "u64" }, socket: scene.socket };
  await worker.ask("open", { ...options, requireMapping: true });
  await until(() => worker.logged("UTILIZATION_MAPPING").length > 0, "it says why");
  assert.equal(scene.monitor.sampleByWorker().length, 0);
});
