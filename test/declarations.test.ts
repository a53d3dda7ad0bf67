// Workers of one service that declare a field in different ways: whoever comes, goes and comes back, a
// total is all that was ever counted.

import assert from "node:assert/strict";
import { join } from "node:path";
import { it } from "node:test";
import { UtilizationMonitor } from "../host/utilization_monitor.ts";
import type { Row } from "./reference.ts";
import { temporaryFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";
import { randomFrom } from "./support/random.ts";
import { FakeWorker } from "./support/workers.ts";

const LEASE_MS = 1000;
const STEPS = 120;
/** By its name the field is a counter where nothing is declared. Gauges stay at 0. */
const DECLARATIONS = [undefined, { kind: "counter" }, { kind: "gauge" }] as const;

class Declaring extends FakeWorker {
  readonly isCounting: boolean;
  count = 0;
  leaseEnd = Number.POSITIVE_INFINITY;

  constructor(id: number, incarnation: string, rows: readonly Row[], isCounting: boolean) {
    super(id, { name: "web", incarnation }, rows, new Uint8Array(8));
    this.isCounting = isCounting;
  }

  add(count: number): void {
    if (!this.isCounting) return;
    this.count += count;
    new DataView(this.bytes.buffer).setBigUint64(0, BigInt(this.count), true);
    if (this.place !== null) this.write();
  }
}

for (let seed = 1; seed <= 8; seed++) {
  it(`no count is lost or taken twice (seed ${seed})`, async (t) => {
    const random = randomFrom(seed);
    const path = join(temporaryFolder(t), "a.shm");
    let now = 0;
    const open = async () => {
      const log = new CollectingLogger();
      const options = { path, log, leaseMs: LEASE_MS, reuseDelayMs: 0, now: () => now };
      const monitor = new UtilizationMonitor(options);
      await monitor.open();
      return monitor;
    };
    let monitor = await open();
    const live: Declaring[] = [];
    let away: Declaring[] = [];
    let [retired, ids, checked] = [0, 0, 0];
    const take = <T>(list: T[]): T | undefined =>
      list.splice(Math.floor(random() * list.length), 1)[0];
    const enter = async (worker: Declaring): Promise<void> => {
      await monitor.register(worker);
      live.push(worker);
    };
    const leave = (worker: Declaring): void => {
      monitor.unregister(worker);
      retired += worker.count;
    };
    const wait = (ms: number): void => {
      now += ms;
      monitor.checkHolders();
      for (const { leaseEnd, count } of away) if (leaseEnd <= now) retired += count;
      away = away.filter(({ leaseEnd }) => leaseEnd > now);
    };

    for (let step = 0; step < STEPS; step++) {
      const choice = random();
      if (choice < 0.35) {
        const options = DECLARATIONS[Math.floor(random() * DECLARATIONS.length)];
        const row = ["x_total", "u64", 0, options] as unknown as Row;
        const rows = [row, ...(random() < 0.5 ? [["y", "u32", 8] as Row] : [])];
        const worker = new Declaring(++ids, `i${ids}`, rows, options?.kind !== "gauge");
        worker.add(Math.ceil(random() * 100));
        await enter(worker);
      } else if (choice < 0.5) {
        live[Math.floor(random() * live.length)]?.add(Math.ceil(random() * 50));
      } else if (choice < 0.75) {
        const worker = take(live);
        if (worker !== undefined) leave(worker);
      } else if (choice < 0.83) {
        const worker = take(live);
        if (worker === undefined) continue;
        monitor.remove(worker);
        worker.leaseEnd = now + LEASE_MS;
        away.push(worker);
      } else if (choice < 0.9) {
        const worker = take(away);
        if (worker === undefined) continue;
        const { incarnation } = worker.state as { incarnation: string };
        const back = new Declaring(++ids, incarnation, worker.rows, worker.isCounting);
        back.add(worker.count + 3);
        await enter(back);
      } else if (choice < 0.96) {
        wait(0.6 * LEASE_MS);
      } else {
        for (const worker of live.splice(0)) leave(worker);
        wait(LEASE_MS);
        await monitor.close();
        monitor = await open();
      }

      const total = monitor.totals().web?.x_total;
      const workers = [...live, ...away];
      const truth = workers.reduce((sum, { count }) => sum + count, retired);
      // Where the service takes the field for a gauge, there is no total of it.
      if (total !== undefined) assert.equal(total, truth, `step ${step}`);
      else assert.ok(!live.length || workers.some(({ isCounting }) => !isCounting), `step ${step}`);
      if (total !== undefined) checked++;
    }
    assert.ok(checked >= STEPS / 8, `${checked} totals were there`);
    await monitor.close();
  });
}
