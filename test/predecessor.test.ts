// What one monitor leaves and the next one takes over, in one process.
import assert from "node:assert/strict";
import { chownSync, existsSync, readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Inspection } from "../host/inspection.ts";
import { journalPath } from "../host/journal.ts";
import { readJournal } from "../host/journal_file.ts";
import { UtilizationMonitor, type UtilizationMonitorOptions } from "../host/utilization_monitor.ts";
import type { Row } from "./reference.ts";
import { afterTest, type Test } from "./support/after_test.ts";
import { temporaryFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";
import { FakeWorker } from "./support/workers.ts";

/** Monitors of one file, one after the other. */
class Succession {
  readonly path: string;
  readonly log: CollectingLogger = new CollectingLogger();
  readonly #test: Test;

  constructor(test: Test) {
    this.#test = test;
    this.path = join(temporaryFolder(test), "a.shm");
  }

  async open(options: UtilizationMonitorOptions = {}): Promise<UtilizationMonitor> {
    const { path, log } = this;
    const monitor = new UtilizationMonitor({ path, log, reuseDelayMs: 0, ...options });
    afterTest(this.#test, () => monitor.close());
    await monitor.open();
    return monitor;
  }
}

function u64(...values: bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values).buffer);
}

function worker(id: number, name: string, rows: readonly Row[], bytes: Uint8Array): FakeWorker {
  return new FakeWorker(id, { name, incarnation: `i${id}` }, rows, bytes);
}

const TOTAL: readonly Row[] = [["x_total", "u64", 0]];

/** The totals of a service. */
function totals(monitor: UtilizationMonitor, service = "web"): Record<string, unknown> {
  return { ...monitor.totals({ bigint: true })[service] };
}

describe("the monitor after another one", () => {
  it("has integers of any size, floats, and both in one counter", async (t) => {
    const succession = new Succession(t);
    const first = await succession.open();
    const most = 2n ** 64n - 1n;
    const workers = [
      worker(1, "web", TOTAL, u64(most)),
      worker(2, "web", TOTAL, u64(most)),
      worker(3, "mixed", TOTAL, u64(7n)),
      worker(4, "mixed", [["x_total", "f64", 0]], new Uint8Array(Float64Array.of(2.5).buffer)),
    ];
    for (const one of workers) await first.register(one);
    for (const one of workers) first.unregister(one);
    assert.equal(totals(first, "mixed").x_total, 9.5);
    await first.close();
    const second = await succession.open();
    assert.deepEqual(totals(second), { x_total: 2n * most, worker_count: 0 });
    assert.deepEqual(totals(second, "mixed"), { x_total: 9.5, worker_count: 0 });
  });

  it("goes on with fields that are called as what every object has", async (t) => {
    const succession = new Succession(t);
    const first = await succession.open();
    const rows: Row[] = [...TOTAL, ["constructor", "u64", 8], ["toString", "u64", 16]];
    const one = worker(1, "web", rows, u64(5n, 6n, 7n));
    await first.register(one);
    first.unregister(one);
    await first.close();
    const second = await succession.open();
    assert.equal(totals(second).x_total, 5n);
    await second.register(one);
    assert.equal(totals(second).x_total, 5n, "it came back with them");
  });

  it("drops what a truncated file does not have, and says so", async (t) => {
    const succession = new Succession(t);
    const first = await succession.open({ size: 512 });
    for (let id = 1; id <= 20; id++) await first.register(worker(id, "web", TOTAL, u64(1n)));
    await first.close();
    truncateSync(succession.path, 8192);
    const inspection = Inspection.open(succession.path);
    assert.equal(inspection.sample().web?.worker_count, 16);
    inspection.close();
    const second = await succession.open({ size: 512 });
    assert.equal(totals(second).x_total, 16n);
    assert.equal(succession.log.with("Lost what 4 workers had counted").length, 1);
  });

  it("that keeps no journal leaves none of a file that is replaced", async (t) => {
    const succession = new Succession(t);
    const first = await succession.open();
    await first.register(worker(1, "web", TOTAL, u64(5n)));
    await first.close();
    assert.ok(existsSync(journalPath(succession.path)));
    const second = await succession.open({ journal: false });
    assert.equal(existsSync(journalPath(succession.path)), false);
    assert.deepEqual(totals(second), {});
  });

  it("does not go on with another user's file", { skip: process.geteuid?.() !== 0 }, async (t) => {
    const succession = new Succession(t);
    const first = await succession.open();
    const [gone, living] = [worker(1, "web", TOTAL, u64(5n)), worker(2, "web", TOTAL, u64(6n))];
    await first.register(gone);
    await first.register(living);
    first.unregister(gone);
    await first.close();
    chownSync(succession.path, 65_534, -1);
    const second = await succession.open();
    assert.equal(totals(second).x_total, 5n);
    assert.equal(statSync(succession.path).uid, 0);
    assert.equal(succession.log.with("Lost what 1 workers").length, 1);
  });

  it("has the totals of all services, however few may be kept", async (t) => {
    const succession = new Succession(t);
    const first = await succession.open({ limits: { services: 8 } });
    for (let id = 1; id <= 6; id++) {
      const one = worker(id, `s${id}`, TOTAL, u64(100n));
      await first.register(one);
      if (id > 3) first.unregister(one);
      await first.register(worker(10 + id, `s${id}`, TOTAL, u64(1n)));
    }
    await first.close();
    const second = await succession.open({ limits: { services: 3 } });
    for (let id = 1; id <= 6; id++) assert.equal(totals(second, `s${id}`).x_total, 101n);
  });
});

describe("the journal of a monitor", () => {
  it("is nobody's to write to after close()", async (t) => {
    const succession = new Succession(t);
    const first = await succession.open();
    const late = worker(1, "web", TOTAL, u64(1n));
    let answer: (rows: unknown) => void = () => {};
    const answered = new Promise<unknown>((resolve) => {
      answer = resolve;
    });
    const asked = { ...late, worker: { setupUtilizationObserver: () => answered } };
    const registering = first.register(asked);
    await first.register(worker(2, "web", TOTAL, u64(5n)));
    await first.close();
    const second = await succession.open();
    const before = readFileSync(journalPath(succession.path), "utf8");
    answer(TOTAL);
    await registering;
    assert.equal(readFileSync(journalPath(succession.path), "utf8"), before);
    assert.equal(totals(second).x_total, 5n);
  });

  it("can be written by its owner alone, whoever may write to the file", async (t) => {
    const succession = new Succession(t);
    await succession.open({ mode: 0o664 });
    assert.equal(statSync(succession.path).mode & 0o777, 0o664);
    assert.equal(statSync(journalPath(succession.path)).mode & 0o777, 0o644);
  });

  it("forgets services that never counted, and is gone when nobody did", async (t) => {
    const succession = new Succession(t);
    const monitor = await succession.open();
    for (let id = 1; id <= 50; id++) {
      const one = worker(id, `s${id}`, [["active", "u64", 0]], u64(1n));
      await monitor.register(one);
      monitor.remove(one);
    }
    monitor.checkHolders();
    await monitor.close();
    const left = readJournal(succession.path);
    assert.equal(left?.state.bases.size ?? 0, 0);
  });
});
