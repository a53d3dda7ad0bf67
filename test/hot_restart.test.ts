// A supervisor that ends, planned or killed, and the next one that goes on with what it left.
import assert from "node:assert/strict";
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { journalPath } from "../host/journal.ts";
import type { Child } from "./support/child.ts";
import { unmapped } from "./support/mapping.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };

type Sums = Record<string, Record<string, number>>;

async function supervise(scene: Scene, options: object = {}): Promise<Child> {
  const supervisor = scene.child("supervisor_process");
  const { socket, file: path } = scene;
  await supervisor.ask("listen", { socket, path, reuseDelayMs: 0, ...options });
  return supervisor;
}

/** Waits until the supervisor reads so many live workers. */
async function reads(supervisor: Child, count: number): Promise<void> {
  await until(
    async () => (await supervisor.ask<unknown[]>("workers")).length === count,
    `${count} workers are read`,
  );
}

async function total(supervisor: Child, service = "web"): Promise<number | undefined> {
  return (await supervisor.ask<Sums>("totals"))[service]?.requests_total;
}

async function detachedCount(supervisor: Child): Promise<number> {
  return (await supervisor.ask<{ detachedCount: number }>("counts")).detachedCount;
}

/** Ends a supervisor; returns when it is gone. */
const ENDINGS: Readonly<Record<string, (supervisor: Child) => Promise<unknown>>> = {
  "is killed": (supervisor) => supervisor.kill(),
  closes: async (supervisor) => {
    await supervisor.ask("close");
    await supervisor.kill();
  },
};

describe("a supervisor after one that", () => {
  for (const [how, end] of Object.entries(ENDINGS)) {
    it(`${how} knows what the dead had counted`, LIMIT, async (t) => {
      const scene = new Scene(t);
      const first = await supervise(scene);
      const [dead, living] = [await scene.worker(), await scene.worker()];
      await reads(first, 2);
      await dead.ask("add", { by: 5 });
      await living.ask("add", { by: 7 });
      await dead.kill();
      await until(async () => (await detachedCount(first)) === 0, "it is retired");
      assert.equal(await total(first), 12);
      await end(first);

      const second = await supervise(scene);
      // Before any worker is back, and after.
      assert.equal(await total(second), 12);
      await reads(second, 1);
      assert.equal(await total(second), 12);
      await living.ask("add", { by: 1 });
      await until(async () => (await total(second)) === 13, "it counts on");
      assert.equal(await detachedCount(second), 0);
    });

    it(`${how} counts those that died meanwhile, once`, LIMIT, async (t) => {
      const scene = new Scene(t);
      const first = await supervise(scene);
      const workers = [await scene.worker(), await scene.worker(), await scene.worker()];
      await reads(first, 3);
      for (const worker of workers) await worker.ask("add", { by: 10 });
      await end(first);
      await workers[0]!.ask("add", { by: 1 });
      await workers[0]!.kill();

      const second = await supervise(scene);
      assert.equal(await total(second), 31);
      await reads(second, 2);
      await until(async () => (await detachedCount(second)) === 0, "the dead one is retired");
      assert.equal(await total(second), 31);
      const sample = await second.ask<Sums>("sample");
      assert.deepEqual(sample.web, { requests_total: 20, requests_active: 0, worker_count: 2 });
      // And once more: what is retired stays so.
      await end(second);
      const third = await supervise(scene);
      assert.equal(await total(third), 31);
      await reads(third, 2);
      assert.equal(await total(third), 31);
    });

    it(`${how} reads a worker that is stopped and does not come back`, {
      ...LIMIT,
      skip: unmapped,
    }, async (t) => {
      const scene = new Scene(t);
      const first = await supervise(scene);
      const worker = await scene.worker();
      await reads(first, 1);
      await worker.ask("add", { by: 3 });
      await worker.stop();
      await end(first);
      const second = await supervise(scene);
      assert.equal(await total(second), 3);
      assert.equal(await detachedCount(second), 1);
      assert.deepEqual(await second.ask("sample"), {});
      // Nobody else is given its segment.
      const other = await scene.worker({ name: "other" });
      await reads(second, 1);
      await other.ask("add", { by: 100 });
      assert.equal(await total(second), 3);
      worker.wake();
      await reads(second, 2);
      await worker.ask("add", { by: 1 });
      await until(async () => (await total(second)) === 4, "it counts on");
      assert.equal(await detachedCount(second), 0);
    });
  }

  it("said goodbye to a worker does not count it twice when it comes back", LIMIT, async (t) => {
    const scene = new Scene(t);
    const first = await supervise(scene);
    const worker = await scene.worker();
    await reads(first, 1);
    await worker.ask("add", { by: 6 });
    await worker.ask("close");
    await reads(first, 0);
    await first.kill();
    const second = await supervise(scene);
    assert.equal(await total(second), 6);
    await worker.ask("run");
    await reads(second, 1);
    assert.equal(await total(second), 6);
  });

  it("removes everything when nobody has counted anything", LIMIT, async (t) => {
    const scene = new Scene(t);
    const first = await supervise(scene);
    assert.ok(existsSync(journalPath(scene.file)));
    await first.ask("close");
    for (const path of [scene.file, journalPath(scene.file), `${scene.file}.lock`, scene.socket]) {
      assert.equal(existsSync(path), false, path);
    }
  });

  it("keeps no journal when it is told so, and ends with its totals", LIMIT, async (t) => {
    const scene = new Scene(t);
    const first = await supervise(scene, { journal: false });
    const worker = await scene.worker();
    await reads(first, 1);
    await worker.ask("add", { by: 6 });
    assert.equal(existsSync(journalPath(scene.file)), false);
    await first.ask("close");
    assert.equal(existsSync(scene.file), false);
  });

  for (const [what, change, line] of [
    [
      "of another format",
      (text: string) => text.replace('"format":2', '"format":9'),
      "format is 9",
    ],
    [
      "of another start of the machine",
      (text: string) => text.replace(/"boot":"[^"]*"/, '"boot":"x"'),
      "before this start",
    ],
    ["that is damaged", (text: string) => text.replace("\n", "\nnonsense\n"), "line 2"],
  ] as const) {
    it(`left a journal ${what} starts anew, says so, and harms no worker`, LIMIT, async (t) => {
      const scene = new Scene(t);
      const first = await supervise(scene);
      const worker = await scene.worker();
      await reads(first, 1);
      await worker.ask("add", { by: 6 });
      const { ino } = statSync(scene.file);
      await first.kill();
      const path = journalPath(scene.file);
      writeFileSync(path, change(readFileSync(path, "utf8")));
      const second = await supervise(scene);
      assert.equal(second.logged("Starting anew").length, 1);
      assert.equal(second.logged(line).length, 1, second.log.join("\n"));
      assert.notEqual(statSync(scene.file).ino, ino);
      await reads(second, 1);
      assert.equal(await total(second), 6);
    });
  }

  it("had segments of another size counts everything once all the same", LIMIT, async (t) => {
    const scene = new Scene(t);
    const first = await supervise(scene);
    const [dead, living] = [await scene.worker(), await scene.worker()];
    await reads(first, 2);
    await dead.ask("add", { by: 5 });
    await living.ask("add", { by: 7 });
    await first.kill();
    await dead.kill();
    const second = await supervise(scene, { segmentSize: 1024 });
    assert.equal(second.logged("its segments are 512 bytes, not 1024").length, 1);
    await reads(second, 1);
    assert.equal(await total(second), 12);
    await living.ask("add", { by: 1 });
    await until(async () => (await total(second)) === 13, "it counts on");
    await second.kill();
    const third = await supervise(scene, { segmentSize: 1024 });
    await reads(third, 1);
    assert.equal(await total(third), 13);
  });

  it("lost its file keeps the totals of the dead, and says what is lost", LIMIT, async (t) => {
    const scene = new Scene(t);
    const first = await supervise(scene);
    const [dead, living] = [await scene.worker(), await scene.worker()];
    await reads(first, 2);
    await dead.ask("add", { by: 5 });
    await living.ask("add", { by: 7 });
    await dead.kill();
    await until(async () => (await detachedCount(first)) === 0, "it is retired");
    await first.kill();
    renameSync(scene.file, `${scene.file}.moved`);
    const second = await supervise(scene);
    assert.equal(second.logged("Lost what 1 workers had counted").length, 1);
    assert.ok((await total(second))! >= 5);
    await reads(second, 1);
    assert.equal(await total(second), 12);
  });
});
