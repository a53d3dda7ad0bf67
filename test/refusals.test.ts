// Workers that are refused come again and again: the log does not fill with it. And how the end of
// a connection is told.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Refusals } from "../host/refusals.ts";
import type { WorkerController } from "../host/worker_controller.ts";
import { FakeSupervisor } from "./support/fake_supervisor.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };

function worker(processId: number | null, state: WorkerController["state"] = {}): WorkerController {
  return { id: 1, processId, state, worker: null };
}

describe("Refusals", () => {
  it("knows what is news of a process, whatever numbers are in it", () => {
    const refusals = new Refusals();
    const first = worker(7, { start_time: "1", incarnation: "a" });
    assert.equal(refusals.isNews(first, "offset 512: no room"), true);
    assert.equal(refusals.isNews(first, "offset 1024: no room"), false);
    assert.equal(refusals.isNews(first, "no answer"), true);
    assert.equal(refusals.isNews(first, "no answer"), false);
    // Everybody is pid 1 somewhere.
    assert.equal(
      refusals.isNews(worker(7, { start_time: "2", incarnation: "a" }), "no answer"),
      true,
    );
    assert.equal(
      refusals.isNews(worker(7, { start_time: "1", incarnation: "b" }), "no answer"),
      true,
    );
    assert.equal(refusals.isNews(worker(7), "no answer"), true);
    refusals.forget(first);
    assert.equal(refusals.isNews(first, "no answer"), true);
  });

  it("says all of those that do not say who they are, and remembers not too many", () => {
    const refusals = new Refusals();
    for (let i = 0; i < 3; i++) assert.equal(refusals.isNews(worker(null), "no answer"), true);
    assert.equal(refusals.isNews(worker(1), "x"), true);
    for (let id = 2; id <= 4096; id++) refusals.isNews(worker(id), "x");
    assert.equal(refusals.isNews(worker(1), "x"), false);
    refusals.isNews(worker(5000), "x");
    assert.equal(refusals.isNews(worker(1), "x"), true, "the oldest is forgotten");
    assert.equal(refusals.isNews(worker(4000), "x"), false);
  });
});

// At once: they wait for retries most of the time.
describe("a refused worker", { concurrency: true }, () => {
  it("costs one line on either side, however often it asks", LIMIT, async (t) => {
    const scene = await Scene.supervised(t);
    const free = scene.freeCount;
    const fields = Array.from({ length: 65 }, (_, i) => [`field_${i}`, "u64"] as const);
    const wide = await scene.worker({ name: "wide", schema: Object.fromEntries(fields) });
    const attempts = () => scene.log.with("debug Removed worker").length;
    await until(() => attempts() >= 2, "it has asked twice");
    const lines = scene.log.with("Error setting up worker utilization");
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.ok(lines[0]!.includes(`"process_id":${wide.pid},"service":"wide"`), lines[0]);
    assert.match(lines[0]!, /schema takes 520 bytes, segment is 512 bytes/);
    assert.equal(scene.log.with("info Removed worker").length, 0);
    assert.equal(wide.log.length, 1, wide.log.join("\n"));
    assert.equal(scene.freeCount, free);
  });

  it("waits longer each time", LIMIT, async (t) => {
    const scene = new Scene(t);
    const fake = await new FakeSupervisor().listen(scene.socket);
    scene.atEnd(() => fake.close());
    await scene.worker();
    const times: number[] = [];
    for (let visits = 1; visits <= 3; visits++) {
      const visit = await until(() => fake.visits[visits - 1], `visit ${visits}`);
      times.push(performance.now());
      visit.confirm();
    }
    // From 1250 to 2500 ms after the first time, from 2500 to 5000 after the second.
    const [first, second, third] = times as [number, number, number];
    assert.ok(second - first > 1200, `${second - first} ms`);
    assert.ok(third - second > 2450, `${third - second} ms`);
  });
});

it("a goodbye is told from a lost connection", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const [polite, killed] = [await scene.registered(), await scene.registered()];
  await polite.ask("close");
  await killed.kill();
  const removed = ({ pid }: { pid: number }) =>
    scene.log.with("info Removed worker").filter((line) => line.includes(`"process_id":${pid}`));
  await until(() => removed(polite).length + removed(killed).length === 2, "both are gone");
  assert.match(removed(polite)[0]!, /"reason":"it said goodbye"/);
  assert.match(
    removed(killed)[0]!,
    /"reason":"(peer closed the connection|connection failed: .*)"/,
  );
});
