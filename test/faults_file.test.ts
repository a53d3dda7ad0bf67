// The shared file disappears, is replaced, is cut off, or finds no room.
import assert from "node:assert/strict";
import { truncateSync, unlinkSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { selectMapping } from "../host/mapping/index.ts";
import type { MappingName } from "../host/mapping/name.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };

// At once: they wait for retries most of the time.
describe("a shared file that fails", { concurrency: true }, () => {
  for (const how of ["unlinked", "replaced"]) {
    it(`workers go on in a file that was ${how}, and new ones are refused`, LIMIT, async (t) => {
      const scene = await Scene.supervised(t);
      const free = scene.freeCount;
      const old = await scene.registered();
      await old.ask("add", { by: 1 });
      unlinkSync(scene.file);
      if (how === "replaced") writeFileSync(scene.file, new Uint8Array(32_768));

      const fresh = [await scene.worker(), await scene.worker()];
      for (const worker of fresh) {
        await until(() => worker.logged("gave no segment").length > 0, "a new worker is refused");
        await worker.ask("add", { by: 1000 });
      }
      assert.equal(scene.log.with("was unlinked or replaced").length, 1);
      assert.equal(scene.freeCount, free - 1);
      await old.ask("add", { by: 1 });
      assert.deepEqual(
        { ...scene.monitor.sample().web },
        {
          requests_total: 2,
          requests_active: 0,
          worker_count: 1,
        },
      );
      for (const worker of [old, ...fresh])
        assert.equal(worker.log.length, 1, worker.log.join("\n"));

      await old.kill();
      await until(() => scene.freeCount === free, "the segment of the old one is free");
      assert.equal(scene.total("web"), 2n);
      // What is in the file's place by now is not ours to remove.
      await scene.supervisor.close();
      if (how === "replaced") unlinkSync(scene.file);
      // The refused ones find the next supervisor, with all they have counted; and it knows what
      // the old one had.
      await scene.supervise();
      for (const worker of fresh) await scene.sees(worker);
      assert.equal(scene.total("web"), 2002n);
    });
  }

  const MAPPINGS = (["mmap-io", "koffi", "none"] as const).filter((name: MappingName) => {
    try {
      selectMapping(name);
      return true;
    } catch {
      return false;
    }
  });

  for (const mapping of MAPPINGS) {
    it(`a supervisor by ${mapping} survives that its file is truncated`, LIMIT, async (t) => {
      const scene = new Scene(t);
      // Not in this process: if it did not survive, nobody could tell.
      const supervisor = scene.child("supervisor_process");
      const { socket, file: path } = scene;
      await supervisor.ask("listen", { socket, path, mapping });
      const worker = await scene.worker({ mapping: "none", flushMs: 5 });
      await worker.ask("add", { by: 5 });
      const reads = (value: number) =>
        until(async () => {
          const { web } = await supervisor.ask<Record<string, Record<string, number>>>("sample");
          return web?.requests_total === value;
        }, `the supervisor reads ${value}`);
      await reads(5);

      truncateSync(path, 0);
      for (let i = 0; i < 5; i++) {
        const sample = await supervisor.ask<Record<string, Record<string, number>>>("sample");
        // A mapping has lost what was cut off; a copy keeps what was read last.
        assert.equal(sample.web?.worker_count, 1);
        assert.equal(sample.web?.requests_total, mapping === "none" ? 5 : 0);
        await supervisor.ask("totals");
        await supervisor.ask("workers");
      }
      await worker.ask("add", { by: 1 });
      await reads(6);
      const lines = supervisor.logged("was truncated");
      assert.equal(lines.length, 1, lines.join("\n"));

      // New workers get segments that are there again.
      const fresh = await scene.worker();
      await fresh.ask("add", { by: 100 });
      await reads(106);
      const free = await supervisor.ask<{ availableCount: number }>("counts");
      await fresh.kill();
      await until(async () => {
        const counts = await supervisor.ask<{ availableCount: number }>("counts");
        return counts.availableCount === free.availableCount + 1;
      }, "its segment is free");
      const totals = await supervisor.ask<Record<string, Record<string, number>>>("totals");
      assert.equal(totals.web?.requests_total, 106);
      assert.equal(supervisor.logged("was truncated").length, 1);
      assert.ok(supervisor.running);
    });
  }

  it(
    "a full file refuses workers with one line, and takes them when there is room",
    LIMIT,
    async (t) => {
      const scene = await Scene.supervised(t, { size: 1024, maxSize: 1024, reuseDelayMs: 0 });
      const workers = [await scene.registered(), await scene.registered()];
      const third = await scene.worker();
      await third.ask("add", { by: 1 });
      await until(() => third.logged("gave no segment").length > 0, "the third is refused");
      assert.equal(scene.log.with("Failed to allocate utilization segment").length, 1);
      for (const worker of workers) await worker.ask("add", { by: 10 });
      assert.equal(scene.monitor.sample().web?.requests_total, 20);
      await workers[0]!.ask("close");
      await scene.sees(third);
      assert.equal(scene.monitor.sample().web?.requests_total, 11);
      assert.equal(scene.total("web"), 21n);
    },
  );
});
