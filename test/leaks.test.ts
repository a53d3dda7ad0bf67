// Gauges of what is in flight that do not come back to where they were.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pairsIn } from "../host/leaks.ts";
import { Schema, type SchemaDefinition } from "../host/schema.ts";
import { UtilizationMonitor, type UtilizationMonitorOptions } from "../host/utilization_monitor.ts";
import { connect } from "../host/worker.ts";
import type { Row } from "./reference.ts";
import { afterTest, type Test } from "./support/after_test.ts";
import { temporaryFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";
import { FakeWorker } from "./support/workers.ts";

const ROWS: readonly Row[] = [
  ["requests_total", "u64", 0],
  ["requests_active", "u32", 8],
];
const WINDOW_MS = 60_000;

/** A worker of which so many requests are in flight. */
class ServingWorker extends FakeWorker {
  #total = 0;
  #active: number;

  constructor(
    id: number,
    active = 0,
    state: Readonly<Record<string, unknown>> = {},
    rows: readonly Row[] = ROWS,
  ) {
    super(id, { name: "web", ...state }, rows, new Uint8Array(32));
    this.#active = active;
    this.#encode();
  }

  #encode(): void {
    const view = new DataView(this.bytes.buffer);
    view.setBigUint64(0, BigInt(this.#total), true);
    view.setUint32(8, this.#active, true);
  }

  /** Takes requests, after which so many are in flight. */
  serve(active: number, taken = 1): void {
    this.#total += taken;
    this.#active = active;
    this.#encode();
    this.write();
  }
}

/** A monitor with a clock that stands still until it is told to go on. */
class Clocked {
  readonly log: CollectingLogger = new CollectingLogger();
  readonly monitor: UtilizationMonitor;
  #now = 5000;

  constructor(test: Test, options: UtilizationMonitorOptions = {}) {
    this.monitor = new UtilizationMonitor({
      path: join(temporaryFolder(test), "a.shm"),
      log: this.log,
      now: () => this.#now,
      leakWindowMs: WINDOW_MS,
      ...options,
    });
    afterTest(test, () => this.monitor.close());
  }

  async worker(id: number, active?: number, state?: object): Promise<ServingWorker> {
    const worker = new ServingWorker(id, active, { ...state });
    await this.monitor.register(worker);
    return worker;
  }

  /** Lets time pass as it does where the supervisor runs. */
  pass(milliseconds: number, action: () => void = () => {}): void {
    for (let left = milliseconds; left > 0; left -= 1000) {
      this.#now += Math.min(left, 1000);
      action();
      this.monitor.leaking();
    }
  }

  /** Lets time pass in which the supervisor does not run. */
  pause(milliseconds: number): void {
    this.#now += milliseconds;
    this.monitor.leaking();
  }

  /** Of each worker, the lowest number in flight. */
  get lowest(): unknown[] {
    return this.monitor.sampleByWorker().map(({ leaking }) => leaking && { ...leaking });
  }

  get leaking(): unknown {
    return JSON.parse(JSON.stringify(this.monitor.leaking()));
  }
}

describe("a gauge of what is in flight", () => {
  it("leaks when it was above its floor for a whole window", async (t) => {
    const scene = new Clocked(t);
    const worker = await scene.worker(1);
    let active = 7;
    const serve = (): void => {
      active = active === 7 ? 3 : 7;
      worker.serve(active);
    };
    scene.pass(1000, () => worker.serve(0));
    scene.pass(WINDOW_MS - 1000, serve);
    assert.deepEqual([scene.leaking, scene.lowest], [{}, [undefined]]);
    assert.equal("leaking" in scene.monitor.status(), false);
    scene.pass(1000, serve);
    assert.deepEqual(scene.leaking, { web: { requests_active: 1 } });
    assert.deepEqual(scene.lowest, [{ requests_active: 3 }]);
    const text = scene.monitor.statusText({ byWorker: true });
    assert.match(text, /"stalled":\{\},"leaking":\{"web":\{"requests_active":1\}\},"workers"/);
    assert.deepEqual(JSON.parse(text).workers[0].leaking, { requests_active: 3 });
    assert.deepEqual(scene.log.with("leak"), [
      'warn Worker 1 of service "web", pid ?, may leak: "requests_active" was never below 3 for 60 s, while "requests_total" went on',
    ]);
    // What is told follows, a window at a time.
    scene.pass(WINDOW_MS, () => worker.serve(9));
    assert.deepEqual(scene.lowest, [{ requests_active: 9 }]);
    // Nothing moves: what was found holds.
    scene.pass(2 * WINDOW_MS);
    assert.deepEqual(scene.lowest, [{ requests_active: 9 }]);
    scene.pass(1000, () => worker.serve(0));
    assert.deepEqual([scene.leaking, scene.lowest], [{}, [undefined]]);
    assert.deepEqual(scene.log.with("leak").slice(1), [
      'info Worker 1 of service "web", pid ?, does not leak: "requests_active" is at 0',
    ]);
  });

  it("does not leak when it was at its floor once within each window", async (t) => {
    const scene = new Clocked(t);
    const worker = await scene.worker(1);
    for (let round = 0; round < 3; round++) {
      scene.pass(WINDOW_MS - 1000, () => worker.serve(5));
      scene.pass(1000, () => worker.serve(0));
      assert.deepEqual(scene.leaking, {});
    }
    assert.deepEqual(scene.log.with("leak"), []);
  });

  it("does not leak while its counter stands still: one request may take that long", async (t) => {
    const scene = new Clocked(t);
    const worker = await scene.worker(1);
    worker.serve(1);
    scene.pass(1000);
    scene.pass(WINDOW_MS);
    // That of the first window moved when the request came.
    assert.deepEqual(scene.leaking, { web: { requests_active: 1 } });
    worker.serve(0, 0);
    scene.pass(1000);
    worker.serve(1, 0);
    scene.pass(3 * WINDOW_MS);
    assert.deepEqual(scene.leaking, {});
  });

  it("rests at its lowest value, which need not be 0", async (t) => {
    const scene = new Clocked(t);
    // As one that was there before its supervisor: two of those in flight will never end.
    const worker = await scene.worker(1, 6);
    scene.pass(2 * WINDOW_MS, () => worker.serve(6));
    assert.deepEqual(scene.leaking, {});
    scene.pass(1000, () => worker.serve(2));
    scene.pass(WINDOW_MS - 1000, () => worker.serve(6));
    assert.deepEqual(scene.leaking, {});
    scene.pass(1000, () => worker.serve(3));
    assert.deepEqual(scene.lowest, [{ requests_active: 3 }]);
    scene.pass(1000, () => worker.serve(2));
    assert.deepEqual(scene.leaking, {});
  });

  it("is judged afresh after a pause of the supervisor", async (t) => {
    const scene = new Clocked(t);
    const worker = await scene.worker(1);
    scene.pass(WINDOW_MS - 1000, () => worker.serve(4));
    scene.pause(10_000);
    assert.deepEqual(scene.leaking, {});
    scene.pass(WINDOW_MS - 1000, () => worker.serve(4));
    assert.deepEqual(scene.leaking, {});
    scene.pass(1000, () => worker.serve(4));
    assert.deepEqual(scene.leaking, { web: { requests_active: 1 } });
    scene.pause(10_000);
    assert.deepEqual(scene.leaking, {});
    scene.pass(WINDOW_MS, () => worker.serve(4));
    assert.deepEqual(scene.leaking, { web: { requests_active: 1 } });
    assert.equal(scene.log.with("may leak").length, 1);
  });

  it("is known of a worker that registers anew, and forgotten with one that leaves", async (t) => {
    const scene = new Clocked(t);
    const worker = await scene.worker(1, 0, { incarnation: "abc" });
    scene.pass(WINDOW_MS, () => worker.serve(4));
    const again = await scene.worker(2, 4, { incarnation: "abc" });
    assert.deepEqual(scene.leaking, { web: { requests_active: 1 } });
    scene.pass(WINDOW_MS, () => again.serve(3, 100));
    assert.deepEqual(scene.lowest, [{ requests_active: 3 }]);
    scene.monitor.remove(again);
    assert.deepEqual([scene.leaking, scene.lowest], [{}, []]);
    scene.pass(2000);
    assert.equal(
      scene.log.with("leak").at(-1),
      'info Worker 1 of service "web", pid ?, leaks no more: it has left, "requests_active" with it',
    );
    const other = await scene.worker(3, 4, { incarnation: "abc" });
    scene.pass(2 * WINDOW_MS, () => other.serve(4));
    assert.deepEqual(scene.leaking, {});
  });

  it("is known of a worker that registers anew with another gauge", async (t) => {
    const scene = new Clocked(t);
    const worker = await scene.worker(1, 0, { incarnation: "abc" });
    scene.pass(WINDOW_MS, () => worker.serve(4));
    const rows = [["jobs_total", "u64", 24], ["jobs_active", "u32", 16], ...ROWS] as const;
    const again = new ServingWorker(2, 4, { incarnation: "abc" }, rows);
    await scene.monitor.register(again);
    assert.deepEqual(scene.leaking, { web: { requests_active: 1 } });
    scene.pass(1000, () => again.serve(1, 100));
    assert.deepEqual(scene.lowest, [{ requests_active: 4 }]);
    scene.pass(1000, () => again.serve(0));
    assert.deepEqual(scene.leaking, {});
    assert.equal(scene.log.with("leak").length, 2);
  });

  it("ends with its gauge, also of a worker that lives on", async (t) => {
    const scene = new Clocked(t);
    const worker = await scene.worker(1, 0, { incarnation: "abc" });
    scene.pass(WINDOW_MS, () => worker.serve(4));
    await scene.monitor.register(new ServingWorker(2, 4, { incarnation: "abc" }, [ROWS[0]!]));
    scene.pass(2000);
    assert.deepEqual([scene.leaking, scene.lowest], [{}, [undefined]]);
    assert.deepEqual(scene.log.with("leak").slice(1), [
      'info Worker 1 of service "web", pid ?, leaks no more: it has no "requests_active" any more',
    ]);
  });

  it("rests at 0 though it was below once", async (t) => {
    const scene = new Clocked(t);
    const rows = [ROWS[0]!, ["requests_active", "s32", 8]] as const;
    const worker = new ServingWorker(1, 0, {}, rows);
    await scene.monitor.register(worker);
    scene.pass(1000, () => worker.serve(-1));
    scene.pass(2 * WINDOW_MS, () => worker.serve(0));
    assert.deepEqual(scene.leaking, {});
    scene.pass(WINDOW_MS, () => worker.serve(1));
    assert.deepEqual(scene.leaking, { web: { requests_active: 1 } });
  });

  it("is looked at every sixtieth of the window, from 1 s to 10 s", async (t) => {
    for (const [leakWindowMs, seconds] of [
      [1000, 1],
      [300_000, 5],
      [3_600_000, 10],
    ] as const) {
      const scene = new Clocked(t, { leakWindowMs });
      const worker = await scene.worker(1, 5);
      // The floor is lower once it was looked at.
      scene.pass(seconds * 1000 - 1, () => worker.serve(1));
      scene.pass(leakWindowMs, () => worker.serve(5));
      assert.deepEqual(scene.leaking, {}, `${leakWindowMs}`);
      scene.pass(seconds * 1000, () => worker.serve(1));
      scene.pass(leakWindowMs + seconds * 2000, () => worker.serve(5));
      assert.deepEqual(scene.leaking, { web: { requests_active: 1 } }, `${leakWindowMs}`);
    }
  });

  it("is not looked at where nobody wants to know", async (t) => {
    const scene = new Clocked(t, { leakWindowMs: 0 });
    const worker = await scene.worker(1);
    scene.pass(3 * WINDOW_MS, () => worker.serve(4));
    assert.deepEqual([scene.leaking, scene.lowest], [{}, [undefined]]);
  });

  it("has a window within limits", () => {
    for (const leakWindowMs of [-1, 999, Number.NaN, 2 ** 31, "60" as never]) {
      assert.throws(
        () => new UtilizationMonitor({ leakWindowMs }),
        new RangeError(
          `Cannot use leakWindowMs ${leakWindowMs}: must be 0, or from 1000 to 2147483647`,
        ),
      );
    }
  });
});

describe("pairsIn()", () => {
  const PAIRS: readonly (readonly [string, SchemaDefinition, string[]])[] = [
    ["by name", { a_active: "u32", a_total: "u64" }, ["a_active a_total"]],
    ["of others none", { a_active: "u32", b_total: "u64", a: "u8" }, []],
    [
      "by declaration",
      { jobs: { type: "f64", counter: "done" }, done: { type: "u8", kind: "counter" } },
      ["jobs done"],
    ],
    [
      "declared elsewhere",
      { a_active: { type: "u8", counter: "b_total" }, a_total: "u64", b_total: "u64" },
      ["a_active b_total"],
    ],
    ["declared to be none", { a_active: { type: "u8", counter: "" }, a_total: "u64" }, []],
    ["with a gauge none", { a_active: "u32", a_total: { type: "u64", kind: "gauge" } }, []],
    [
      "a counter itself is none",
      { a_active: { type: "u32", kind: "counter" }, a_total: "u64" },
      [],
    ],
  ];
  for (const [what, definition, expected] of PAIRS) {
    it(`finds pairs: ${what}`, () => {
      const pairs = pairsIn(Schema.build(definition).fields);
      assert.deepEqual(
        pairs.map(({ gauge, counter }) => `${gauge.name} ${counter.name}`),
        expected,
      );
    });
  }
});

it("a worker that forgets to end what it began is told", { timeout: 60_000 }, async (t) => {
  const scene = await Scene.supervised(t, { leakWindowMs: 1000 });
  const schema = { requests_total: "u64", requests_active: "u32" } as const;
  const { socket } = scene;
  const worker = connect({ name: "web", schema, socket, flushMs: 5, log: new CollectingLogger() });
  scene.atEnd(() => worker.close());
  const process = await scene.worker();
  await until(() => scene.monitor.sampleByWorker().length === 2, "both are registered");
  const { requests_total, requests_active } = worker.metrics;
  const serving = setInterval(() => {
    requests_total.increment();
    requests_active.track(() => {});
  }, 5);
  scene.atEnd(() => clearInterval(serving));
  await process.ask("add", { field: "requests_active", by: 3 });
  await process.ask("add", { by: 3 });
  await until(async () => {
    await process.ask("add", { by: 1 });
    return scene.monitor.leaking().web?.requests_active === 1;
  }, "one of them leaks");
  const { pid } = process;
  assert.deepEqual(
    scene.monitor
      .sampleByWorker()
      .map(({ processId, leaking }) => [processId === pid, leaking?.requests_active])
      .sort(),
    [
      [false, undefined],
      [true, 3],
    ],
  );
  await process.ask("set", { field: "requests_active", value: "0" });
  await until(() => Object.keys(scene.monitor.leaking()).length === 0, "it is back");
});
