// Supervisors that are killed, and a second one where there is one already.
import assert from "node:assert/strict";
import { existsSync, lstatSync, statSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { WorkerSample } from "../host/sample.ts";
import type { Child } from "./support/child.ts";
import { SCHEMA, Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };

async function supervise(scene: Scene, options: object = {}): Promise<Child> {
  const supervisor = scene.child("supervisor_process");
  await supervisor.ask("listen", { socket: scene.socket, path: scene.file, ...options });
  return supervisor;
}

/** Waits until the supervisor reads so many workers. */
async function reads(supervisor: Child, count: number): Promise<void> {
  await until(
    async () => (await supervisor.ask<WorkerSample[]>("workers")).length === count,
    `the supervisor reads ${count} workers`,
  );
}

// At once: they wait for retries most of the time.
describe("supervisors that come and go", { concurrency: true }, () => {
  it("workers return by themselves to a supervisor that was killed", LIMIT, async (t) => {
    const scene = new Scene(t);
    const first = await supervise(scene);
    const workers = [await scene.worker(), await scene.worker({ mapping: "none", flushMs: 5 })];
    const pair = await scene.worker({ name: "jobs" });
    await pair.ask("open", { key: "two", name: "jobs", schema: SCHEMA, socket: scene.socket });
    await reads(first, 4);
    for (const worker of [...workers, pair]) await worker.ask("add", { by: 10 });
    const { ino } = statSync(scene.file);

    await first.kill();
    // Nothing of it was cleaned up.
    for (const path of [scene.socket, scene.file, `${scene.file}.lock`])
      assert.ok(existsSync(path));
    // They count on without anybody who could see it.
    for (const worker of workers) await worker.ask("add", { by: 1 });
    await pair.ask("add", { key: "two", by: 5 });

    const second = await supervise(scene);
    await reads(second, 4);
    assert.equal(statSync(scene.file).ino, ino, "it goes on with the file");
    await until(async () => {
      const sample = await second.ask<Record<string, object>>("sample");
      return (
        JSON.stringify(sample) ===
          '{"web":{"requests_total":22,"requests_active":0,"worker_count":2},' +
            '"jobs":{"requests_total":15,"requests_active":0,"worker_count":2}}' ||
        JSON.stringify(sample) ===
          '{"jobs":{"requests_total":15,"requests_active":0,"worker_count":2},' +
            '"web":{"requests_total":22,"requests_active":0,"worker_count":2}}'
      );
    }, "all values are back");
    for (const worker of [...workers, pair]) await worker.ask("add", { by: 100 });
    await until(async () => {
      const { web, jobs } = await second.ask<Record<string, Record<string, number>>>("totals");
      return web?.requests_total === 222 && jobs?.requests_total === 115;
    }, "they count under the new supervisor");
    // One line as it went, one as it came: not one for each try. One more where the dying process
    // took a connection with it that the system had made.
    for (const worker of workers) {
      assert.equal(worker.logged("Lost supervisor").length, 1);
      assert.equal(worker.logged("Registered with supervisor").length, 2);
      const resets = worker
        .logged("read ECONNRESET")
        .filter((line) => line.includes("Cannot register")).length;
      assert.ok(resets <= 1, worker.log.join("\n"));
      assert.equal(worker.log.length - resets, 3, worker.log.join("\n"));
    }
  });

  it(
    "a supervisor that closes leaves what its workers write to, and they find the next one",
    LIMIT,
    async (t) => {
      const scene = new Scene(t);
      const first = await supervise(scene);
      const worker = await scene.worker();
      await reads(first, 1);
      await first.ask("close");
      for (const path of [scene.socket, `${scene.file}.lock`]) {
        assert.equal(existsSync(path), false, path);
      }
      assert.ok(existsSync(scene.file));
      await worker.ask("add", { by: 3 });
      const second = await supervise(scene, { mapping: "none" });
      await reads(second, 1);
      const { web } = await second.ask<Record<string, Record<string, number>>>("sample");
      assert.equal(web?.requests_total, 3);
    },
  );

  it("a second supervisor is refused before it touches anything", LIMIT, async (t) => {
    const scene = new Scene(t);
    const first = await supervise(scene);
    const worker = await scene.worker();
    await worker.ask("add", { by: 1 });
    await reads(first, 1);
    const inodes = () =>
      [scene.socket, scene.file, `${scene.file}.lock`].map((p) => lstatSync(p).ino);
    const before = inodes();

    const other = { socket: scene.path("b.ipc"), path: scene.path("b.shm") };
    const cases: [object, RegExp][] = [
      [{}, /Cannot listen on .*: another supervisor is listening there/],
      [{ path: other.path }, /Cannot listen on .*: another supervisor is listening there/],
      [{ socket: other.socket }, /Cannot own shared file .*: another supervisor owns it/],
    ];
    for (const [options, reason] of cases) {
      await assert.rejects(supervise(scene, options), reason);
      assert.deepEqual(inodes(), before);
      assert.equal(existsSync(other.socket), false);
      assert.equal(existsSync(other.path), false);
      assert.equal(existsSync(`${other.path}.lock`), false);
    }
    // The first and its worker have noticed nothing.
    await worker.ask("add", { by: 1 });
    const { web } = await first.ask<Record<string, Record<string, number>>>("sample");
    assert.equal(web?.requests_total, 2);
    const late = await scene.worker();
    await reads(first, 2);
    assert.equal(worker.log.length, 1, worker.log.join("\n"));
    assert.ok(late.running);
    assert.equal(first.logged("ERROR").length, 0);

    // And with names of its own it works beside the first.
    const second = await supervise(scene, other);
    await scene.worker({ socket: other.socket });
    await reads(second, 1);
    await reads(first, 2);
  });

  it("a supervisor that was refused can be the next one", LIMIT, async (t) => {
    const scene = new Scene(t);
    const first = await supervise(scene);
    const second = scene.child("supervisor_process");
    const options = { socket: scene.socket, path: scene.file };
    await assert.rejects(second.ask("listen", options));
    await first.kill();
    await second.ask("listen", options);
    await scene.worker();
    await reads(second, 1);
  });

  it("a socket that somebody unlinks is missed by new workers only", LIMIT, async (t) => {
    const scene = await Scene.supervised(t, { probeMs: 1000 });
    const worker = await scene.registered();
    unlinkSync(scene.socket);
    await until(
      () => scene.log.with("New workers cannot reach").some((line) => line.includes("ENOENT")),
      "it says so",
    );
    const late = await scene.worker();
    // Some probes and tries later.
    await sleep(2500);
    await worker.ask("add", { by: 1 });
    assert.equal(scene.monitor.sample().web?.requests_total, 1);
    assert.equal(scene.log.with("New workers cannot reach").length, 1);
    assert.equal(worker.log.length, 1);
    assert.equal(late.log.length, 0);
  });

  it("what is not a socket or file of ours is not replaced", LIMIT, async (t) => {
    const scene = new Scene(t);
    writeFileSync(scene.socket, "precious");
    await assert.rejects(supervise(scene), /something that is not a socket is in its place/);
    const elsewhere = { socket: scene.path("b.ipc") };
    await assert.rejects(
      supervise(scene, { ...elsewhere, path: scene.folder }),
      /something that is not a file is in its place/,
    );
    writeFileSync(`${scene.file}.lock`, "precious");
    await assert.rejects(supervise(scene, elsewhere), /not a socket/);
    assert.equal(existsSync(scene.file), false);
    assert.equal(existsSync(elsewhere.socket), false);
    assert.equal(statSync(scene.socket).size, 8);
    assert.equal(statSync(`${scene.file}.lock`).size, 8);
  });

  it("a link in place of the file is not followed, and not replaced", LIMIT, async (t) => {
    const scene = new Scene(t);
    const precious = scene.path("precious");
    writeFileSync(precious, "precious");
    symlinkSync(precious, scene.file);
    await assert.rejects(supervise(scene), /not a file is in its place, a symbolic link/);
    assert.ok(lstatSync(scene.file).isSymbolicLink());
    unlinkSync(scene.file);
    const supervisor = await supervise(scene);
    assert.ok(lstatSync(scene.file).isFile());
    assert.equal(lstatSync(scene.file).mode & 0o777, 0o600);
    assert.equal(lstatSync(scene.socket).mode & 0o777, 0o600);
    assert.equal(statSync(precious).size, 8);
    await scene.worker();
    await reads(supervisor, 1);
  });
});
