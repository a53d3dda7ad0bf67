// What was counted when everybody died, read with nobody left.
import assert from "node:assert/strict";
import { appendFileSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Inspection } from "../host/inspection.ts";
import { journalPath } from "../host/journal.ts";
import { runCli } from "./fixtures/cli_process.ts";
import type { Test } from "./support/after_test.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };

/** Three workers that counted, one of which died first, and then everybody else. */
async function catastrophe(t: Test): Promise<Scene> {
  const scene = new Scene(t);
  const supervisor = scene.child("supervisor_process");
  const { socket, file: path } = scene;
  await supervisor.ask("listen", { socket, path, reuseDelayMs: 0 });
  const workers = [
    await scene.worker(),
    await scene.worker({ name: "jobs" }),
    await scene.worker(),
  ] as const;
  await until(
    async () => (await supervisor.ask<unknown[]>("workers")).length === 3,
    "three workers are read",
  );
  await workers[0].ask("set", { value: String(2n ** 64n - 1n) });
  await workers[1].ask("add", { by: 20 });
  await workers[2].ask("add", { by: 3 });
  await workers[2].ask("add", { field: "requests_active", by: 2 });
  await workers[0].kill();
  await until(async () => {
    const counts = await supervisor.ask<Record<string, number>>("counts");
    const { web } = await supervisor.ask<Record<string, Record<string, number>>>("sample");
    return web?.worker_count === 1 && counts.detachedCount === 0;
  }, "the first is retired");
  await supervisor.kill();
  // They count on without a supervisor, until they die as well.
  await workers[1].ask("add", { by: 1 });
  for (const worker of workers) await worker.kill();
  return scene;
}

describe("utilization inspect", () => {
  it("tells what all had counted, with all digits", LIMIT, async (t) => {
    const scene = await catastrophe(t);
    const read = () => [scene.file, journalPath(scene.file)].map((path) => readFileSync(path));
    const before = read();
    const args = ["inspect", scene.file, "--json", "--by-worker"];
    const { code, stdout, stderr } = await runCli(t, args);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /"web":\{"requests_total":18446744073709551618,"worker_count":1\}/);
    const { data, totals, workers } = JSON.parse(stdout);
    assert.deepEqual(data, {
      jobs: { requests_total: 21, requests_active: 0, worker_count: 1 },
      web: { requests_total: 3, requests_active: 2, worker_count: 1 },
    });
    assert.deepEqual(totals.jobs, { requests_total: 21, worker_count: 1 });
    assert.deepEqual(
      workers.map(({ service, data }: { service: string; data: object }) => [service, data]),
      [
        ["jobs", { requests_total: 21, requests_active: 0 }],
        ["web", { requests_total: 3, requests_active: 2 }],
      ],
    );
    assert.deepEqual(read(), before, "nothing is written");
  });

  it("prints a table for people", LIMIT, async (t) => {
    const scene = await catastrophe(t);
    const { code, stdout } = await runCli(t, ["inspect", scene.file]);
    assert.equal(code, 0);
    assert.match(stdout, /^web +1 worker +18,446,744,073,709,551,618 +2$/m);
    assert.match(stdout, /^jobs +1 worker +21 +0$/m);
    assert.doesNotMatch(stdout, /pid/);
    const byWorker = await runCli(t, ["inspect", scene.file, "--by-worker"]);
    assert.match(byWorker.stdout, /^ +pid \d+ +21 +0$/m);
  });

  it("reads beside a supervisor that lives", LIMIT, async (t) => {
    const scene = await Scene.supervised(t);
    const worker = await scene.registered();
    await worker.ask("add", { by: 4 });
    const inspection = Inspection.open(scene.file);
    assert.deepEqual({ ...inspection.totals().web }, { requests_total: 4, worker_count: 1 });
    await worker.ask("add", { by: 1 });
    assert.equal(inspection.sample().web?.requests_total, 5);
    inspection.close();
    assert.equal(scene.total("web"), 5n);
  });

  it("leaves out a torn last line", LIMIT, async (t) => {
    const scene = await catastrophe(t);
    appendFileSync(journalPath(scene.file), '[{"free":');
    const { stdout } = await runCli(t, ["inspect", scene.file, "--json"]);
    assert.equal(JSON.parse(stdout).data.jobs.requests_total, 21);
  });

  it("says what is missing, torn, or of another format", LIMIT, async (t) => {
    const scene = await catastrophe(t);
    const path = journalPath(scene.file);
    const text = readFileSync(path, "utf8");
    const refused = async (reason: RegExp): Promise<void> => {
      const { code, stdout, stderr } = await runCli(t, ["inspect", scene.file]);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, reason);
      assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
    };
    writeFileSync(path, text.replace('"format":2', '"format":3'));
    await refused(/its format is 3, known is 2/);
    writeFileSync(path, text.slice(0, 20));
    await refused(/its first line is torn or missing/);
    writeFileSync(path, text.replace("\n", "\n{}\n"));
    await refused(/line 2: /);
    rmSync(path);
    await refused(/there is no ".*\.journal"/);
    writeFileSync(path, text);
    renameSync(scene.file, `${scene.file}.moved`);
    writeFileSync(scene.file, Buffer.alloc(statSync(`${scene.file}.moved`).size));
    await refused(/the file that its journal speaks of, inode \d+, is gone/);
  });

  it("wants one path", async (t) => {
    for (const args of [[], ["a", "b"]]) {
      const { code, stderr } = await runCli(t, ["inspect", ...args]);
      assert.equal(code, 2);
      assert.match(stderr, /Cannot inspect/);
    }
  });
});
