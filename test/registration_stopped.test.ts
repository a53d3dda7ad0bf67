// Workers that are stopped or killed in the middle of their registration.

import assert from "node:assert/strict";
import { it } from "node:test";
import type { Test } from "./support/after_test.ts";
import { Bystander } from "./support/bystander.ts";
import { unmapped } from "./support/mapping.ts";
import { SCHEMA, Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";
import { Watch } from "./support/watch.ts";

const LIMIT = { timeout: 60_000 };

/** A supervisor and a process that was stopped just before it could read what it is asked. */
async function stage(t: Test, fixture: "worker_process" | "ruby_process") {
  const options = { setupTimeoutMs: 200, reuseDelayMs: 0, size: 2048, maxSize: 4096 };
  const scene = await Scene.supervised(t, options);
  const bystander = await Bystander.enter(scene);
  const proxy = await scene.cuttable();
  const worker = scene.child(fixture);
  const held = proxy.hold();
  if (fixture === "worker_process") {
    await worker.ask("open", { name: "web", schema: SCHEMA, socket: proxy.path });
    await worker.ask("add", { by: 7 });
  } else {
    worker.ask("register", { name: "ruby", socket: proxy.path }).catch(() => {});
  }
  const release = await held;
  await worker.stop();
  release();
  return { scene, bystander, proxy, worker };
}

/** One worker more than the file has segments for: it must grow, not give away the one in doubt. */
async function fill(scene: Scene): Promise<void> {
  for (let i = 0; i < 3; i++) {
    const other = await scene.registered({ name: "a" });
    await other.ask("add", { by: 14 });
  }
  assert.equal(scene.freeCount, 3);
}

for (const fixture of ["worker_process", "ruby_process"] as const) {
  const [service, field] =
    fixture === "worker_process" ? ["web", "requests_total"] : ["ruby", "jobs_total"];

  // A Ruby worker without a mapping cannot be seen, and has its lease only.
  const skip = fixture === "ruby_process" && unmapped;
  it(`a ${fixture} that is woken too late harms nobody, and counts`, {
    ...LIMIT,
    skip,
  }, async (t) => {
    const { scene, bystander, worker } = await stage(t, fixture);
    await until(() => scene.log.with("no answer within 200 ms").length === 1, "it is given up");
    await bystander.isUnharmed();
    await fill(scene);
    const watch = Watch.constant(scene, "a", "requests_total", 42n);

    worker.wake();
    await scene.sees(worker);
    await worker.ask("add", { by: 100 });
    const expected = service === "web" ? 107n : 100n;
    await until(() => scene.total(service, field) === expected, "it counts after all");
    await watch.end();
    assert.equal(scene.log.with("no answer within 200 ms").length, 1);
    await bystander.isUnharmed();

    await worker.kill();
    await until(() => scene.freeCount === 4, "its segment is free");
    assert.equal(scene.total(service, field), expected);
    assert.equal(scene.total("a"), 42n);
  });

  it(`a ${fixture} that is cut off while it is stopped harms nobody`, LIMIT, async (t) => {
    const { scene, bystander, proxy, worker } = await stage(t, fixture);
    await until(() => scene.log.with("no answer within 200 ms").length === 1, "it is given up");
    proxy.cut({ open: false });
    await until(() => scene.monitor.detachedCount === 1, "its segment is detached");
    for (let i = 0; i < 20; i++) scene.monitor.checkHolders();
    assert.equal(scene.freeCount, 2);
    await fill(scene);
    const watch = Watch.constant(scene, "a", "requests_total", 42n);
    // It reads what it was asked, and writes all it has, before it notices anything.
    worker.wake();
    await worker.ask("add", { by: 100 });
    await bystander.isUnharmed();
    await watch.end();

    proxy.open();
    if (fixture === "ruby_process") {
      await worker.ask("register", { name: "ruby", socket: scene.socket });
    }
    await scene.sees(worker);
    assert.equal(scene.total(service, field), service === "web" ? 107n : 100n);
  });
}

it("a worker that is killed while it is asked leaves nothing", LIMIT, async (t) => {
  const { scene, bystander, worker } = await stage(t, "worker_process");
  await worker.kill();
  await until(() => scene.freeCount === 3, "its segment is free");
  assert.equal(scene.monitor.detachedCount, 0);
  await bystander.isUnharmed();
});
