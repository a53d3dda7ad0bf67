import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { heartbeatOf } from "../host/heartbeats.ts";
import { Schema } from "../host/schema.ts";
import { type Monitor, Supervisor } from "../host/supervisor.ts";
import { UtilizationMonitor, type UtilizationMonitorOptions } from "../host/utilization_monitor.ts";
import { statusToWire } from "../host/wire.ts";
import { connect, type WorkerOptions } from "../host/worker.ts";
import type { WorkerController } from "../host/worker_controller.ts";
import type { Row } from "./reference.ts";
import { afterTest, type Test } from "./support/after_test.ts";
import { temporaryFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";
import { until } from "./support/until.ts";
import { FakeWorker } from "./support/workers.ts";

/** A worker of one counter with a heartbeat behind it. */
class BeatingWorker extends FakeWorker {
  constructor(id: number, name = "web", heartbeat: unknown = { offset: 8, interval_ms: 500 }) {
    super(id, { name, heartbeat }, [["requests_total", "u64", 0]], new Uint8Array(16));
    this.beat(1);
  }

  /** Sets its heartbeat, in the file when it has a place there. */
  beat(value: number): void {
    new DataView(this.bytes.buffer).setUint32(8, value, true);
    if (this.place !== null) this.write();
  }
}

/** A monitor with a clock that stands still until it is told to go on. */
class Scene {
  readonly log: CollectingLogger = new CollectingLogger();
  readonly monitor: UtilizationMonitor;
  #now = 5000;

  constructor(test: Test, options: UtilizationMonitorOptions = {}) {
    const path = join(temporaryFolder(test), "a.shm");
    this.monitor = new UtilizationMonitor({
      path,
      log: this.log,
      now: () => this.#now,
      ...options,
    });
    afterTest(test, () => this.monitor.close());
  }

  async worker(id: number, name?: string, heartbeat?: unknown): Promise<BeatingWorker> {
    const worker = new BeatingWorker(id, name, heartbeat);
    await this.monitor.register(worker);
    // The first look finds that it has begun.
    this.monitor.stalled();
    return worker;
  }

  /** Lets time pass as it does where the supervisor runs, and returns who is stalled then. */
  pass(milliseconds: number): Record<string, number> {
    for (let left = milliseconds; left > 0; left -= 500) {
      this.#now += Math.min(left, 500);
      this.monitor.stalled();
    }
    return { ...this.monitor.stalled() };
  }

  /** Lets time pass in which the supervisor does not run, and returns who is stalled then. */
  pause(milliseconds: number): Record<string, number> {
    this.#now += milliseconds;
    return { ...this.monitor.stalled() };
  }

  /** For how many seconds each worker is stalled. */
  get seconds(): (number | null)[] {
    return this.monitor.sampleByWorker().map(({ stalledFor }) => stalledFor);
  }
}

describe("the judgement of heartbeats", () => {
  it("calls a worker stalled after twice its interval and a second, until it moves", async (t) => {
    const scene = new Scene(t);
    const worker = await scene.worker(1);
    assert.deepEqual(scene.pass(0), {});
    assert.deepEqual(scene.pass(1999), {});
    assert.deepEqual(scene.seconds, [0]);
    assert.deepEqual(scene.pass(1), { web: 1 });
    assert.deepEqual(scene.seconds, [2]);
    scene.pass(1500);
    assert.deepEqual(scene.seconds, [3.5]);
    worker.beat(2);
    assert.deepEqual(scene.pass(0), {});
    assert.deepEqual(scene.seconds, [0]);
    assert.deepEqual(scene.pass(1999), {});
    assert.deepEqual(scene.pass(1), { web: 1 });
  });

  it("takes any change for a move, that of an overflow included", async (t) => {
    const scene = new Scene(t);
    const worker = await scene.worker(1);
    for (const value of [0xffff_ffff, 0, 1]) {
      worker.beat(value);
      assert.deepEqual(scene.pass(0), {});
      assert.deepEqual(scene.pass(1500), {});
    }
    assert.deepEqual(scene.pass(500), { web: 1 });
  });

  it("counts by service, and only who is registered", async (t) => {
    const scene = new Scene(t);
    const workers = [await scene.worker(1), await scene.worker(2), await scene.worker(3, "api")];
    workers.push(await scene.worker(4, "__proto__"));
    const running = await scene.worker(5);
    assert.deepEqual(scene.pass(1000), {});
    running.beat(2);
    scene.pass(1000);
    assert.deepEqual(Object.entries(scene.monitor.stalled()), [
      ["web", 2],
      ["api", 1],
      ["__proto__", 1],
    ]);
    scene.monitor.remove(workers[0]!);
    scene.monitor.unregister(workers[2]!);
    assert.deepEqual(Object.entries(scene.monitor.stalled()), [
      ["web", 1],
      ["__proto__", 1],
    ]);
  });

  it("waits as long as it is told, but never less than two beats", async (t) => {
    const scene = new Scene(t, { stalledAfterMs: 5000 });
    await scene.worker(1);
    await scene.worker(2, "slow", { offset: 8, interval_ms: 4000 });
    assert.deepEqual(scene.pass(4999), {});
    assert.deepEqual(scene.pass(1), { web: 1 });
    assert.deepEqual(scene.pass(2999), { web: 1 });
    assert.deepEqual(scene.pass(1), { web: 1, slow: 1 });
  });

  it("goes by the interval of each worker", async (t) => {
    const scene = new Scene(t);
    await scene.worker(1, "quick", { offset: 8, interval_ms: 10 });
    await scene.worker(2, "slow", { offset: 8, interval_ms: 10_000 });
    assert.deepEqual(scene.pass(1019), {});
    assert.deepEqual(scene.pass(1), { quick: 1 });
    assert.deepEqual(scene.pass(19_979), { quick: 1 });
    assert.deepEqual(scene.pass(1), { quick: 1, slow: 1 });
  });

  it("starts afresh when the supervisor itself was late by over a second", async (t) => {
    const scene = new Scene(t);
    await scene.worker(1);
    scene.pass(1900);
    // Late by a second, and no more: this counts.
    assert.deepEqual(scene.pause(1500), { web: 1 });
    assert.deepEqual(scene.pause(1501), {});
    assert.deepEqual(scene.seconds, [0]);
    assert.deepEqual(scene.pass(1999), {});
    assert.deepEqual(scene.pass(1), { web: 1 });
    // Of all that, what is known is one thing: it stands still.
    assert.equal(scene.log.with("is stalled").length, 1);
    assert.equal(scene.log.with("runs again").length, 0);
  });

  it("sees heartbeats where the file has grown", async (t) => {
    const scene = new Scene(t, { size: 512 });
    for (let id = 1; id <= 20; id++) await scene.worker(id);
    scene.pass(500);
    const late = await scene.worker(21);
    assert.ok(scene.monitor.allocator!.size > 512);
    for (let second = 2; second < 6; second++) {
      late.beat(second);
      scene.pass(1000);
    }
    assert.deepEqual(scene.pass(0), { web: 20 });
    assert.equal(scene.seconds.at(-1), 0);
  });

  it("sees heartbeats through file I/O", async (t) => {
    const scene = new Scene(t, { mapping: "none" });
    const workers = [await scene.worker(1), await scene.worker(2)];
    scene.pass(1000);
    workers[1]!.beat(2);
    assert.deepEqual(scene.pass(1000), { web: 1 });
    assert.deepEqual(scene.seconds, [2, 0]);
  });
});

describe("the log of heartbeats", () => {
  it("has a line when a worker stalls, and one when it runs again", async (t) => {
    const scene = new Scene(t);
    const worker = await scene.worker(7, "a\u001b[2J");
    scene.pass(5000);
    worker.beat(2);
    scene.pass(5);
    const name = 'Worker 7 of service "a\u{fffd}[2J", pid ?,';
    assert.deepEqual(scene.log.with("Worker 7"), [
      `warn ${name} is stalled: no heartbeat for 2 s`,
      `info ${name} runs again after 5 s`,
    ]);
  });

  it("counts what happens again and again, and says it once a minute", async (t) => {
    const scene = new Scene(t);
    const worker = await scene.worker(1);
    // A beat every three seconds, until the minute after the first line is over.
    for (let value = 2; value <= 22; value++) {
      assert.deepEqual(scene.pass(3000), { web: 1 });
      worker.beat(value);
    }
    const lines = scene.log.with("is stalled");
    assert.equal(lines.length, 2);
    assert.match(lines[1]!, /no heartbeat for 2 s, and did so 19 more times in between$/);
    assert.equal(scene.log.with("runs again").length, 1);
    scene.pass(1);
    assert.equal(scene.log.with("runs again").length, 2);
  });

  it("says that a worker writes to a different file, and calls it nothing else", async (t) => {
    const scene = new Scene(t);
    const elsewhere = new BeatingWorker(2);
    elsewhere.beat(0);
    await scene.monitor.register(elsewhere);
    scene.pass(500);
    assert.deepEqual(scene.pass(9000), {});
    assert.deepEqual(scene.seconds, [null]);
    assert.deepEqual(scene.log.with("Worker 2"), [
      `warn Worker 2 of service "web", pid ?, writes to a different file: its heartbeat was never in "${scene.monitor.path}"`,
    ]);
    elsewhere.beat(1);
    scene.pass(500);
    assert.deepEqual(scene.seconds, [0]);
    assert.equal(scene.log.with("Worker 2 ").length, 2);
    assert.equal(scene.log.with("writes to our file now").length, 1);
  });

  it("says once that the file cannot be read, and looks on", async (t) => {
    const scene = new Scene(t);
    await scene.worker(1);
    const { file } = scene.monitor.allocator!;
    const { view } = file;
    t.after(() => Reflect.deleteProperty(file, "view"));
    Object.defineProperty(file, "view", {
      configurable: true,
      value: () => {
        throw new Error("EIO");
      },
    });
    assert.throws(() => scene.monitor.stalled(), { message: "EIO" });
    // The timer of the monitor itself.
    await until(() => scene.log.with("Error looking at heartbeats").length > 0, "a look");
    Object.defineProperty(file, "view", { configurable: true, value: view });
    assert.deepEqual(scene.pause(1000), {});
    assert.equal(scene.log.with("Error looking at heartbeats").length, 1);
  });
});

describe("what workers tell of their heartbeat", () => {
  const place = { segmentSize: 512, now: () => 0 };
  const of = (heartbeat: unknown, offset = 1024) => heartbeatOf({ heartbeat }, offset, place);

  it("is where it is, and how often it moves", () => {
    assert.equal(of({ offset: 16, interval_ms: 500 })?.index, 260);
    assert.equal(of({ offset: 508, interval_ms: 0.5 })?.index, 383);
    assert.equal(of({ offset: 0, interval_ms: 2 ** 31 - 1, more: 1 })?.intervalMs, 2 ** 31 - 1);
  });

  const bad: Readonly<Record<string, unknown>> = {
    "nothing at all": undefined,
    null: null,
    "a number": 500,
    text: "500",
    "a list": [16, 500],
    "no interval": { offset: 16 },
    "no offset": { interval_ms: 500 },
    "an offset before the segment": { offset: -4, interval_ms: 500 },
    "an offset behind the segment": { offset: 512, interval_ms: 500 },
    "an offset that is not aligned": { offset: 18, interval_ms: 500 },
    "a fraction of an offset": { offset: 16.5, interval_ms: 500 },
    "an offset without end": { offset: Number.POSITIVE_INFINITY, interval_ms: 500 },
    "an offset that is no number": { offset: Number.NaN, interval_ms: 500 },
    "a large integer": { offset: 16n, interval_ms: 500 },
    "an interval of nothing": { offset: 16, interval_ms: 0 },
    "an interval before its beginning": { offset: 16, interval_ms: -1 },
    "an interval without end": { offset: 16, interval_ms: Number.POSITIVE_INFINITY },
    "an interval that is no number": { offset: 16, interval_ms: Number.NaN },
  };
  for (const [what, heartbeat] of Object.entries(bad)) {
    it(`is no heartbeat if it is ${what}`, () => assert.equal(of(heartbeat), null));
  }

  it("is nothing that stalls, where it is none", async (t) => {
    const scene = new Scene(t);
    await scene.worker(1, "web", { offset: 512, interval_ms: 500 });
    await scene.monitor.register(
      new FakeWorker(2, { name: "ruby" }, [["requests_total", "u64", 0]], new Uint8Array(8)),
    );
    assert.deepEqual(scene.pass(60_000), {});
    assert.deepEqual(scene.seconds, [null, null]);
  });

  it("is not a field: one of that name is dropped, and summed nowhere", async (t) => {
    const scene = new Scene(t);
    const rows: Row[] = [
      ["requests_total", "u64", 0],
      ["heartbeat", "u32", 8],
    ];
    await scene.monitor.register(new FakeWorker(1, { name: "ruby" }, rows, new Uint8Array(16)));
    assert.equal(scene.log.with('Dropped field "heartbeat" of worker 1').length, 1);
    assert.deepEqual(scene.pass(60_000), {});
    assert.deepEqual({ ...scene.monitor.sample().ruby }, { requests_total: 0, worker_count: 1 });
  });
});

describe("results", () => {
  it("have stalled workers beside the data, whose form does not change", async (t) => {
    const scene = new Scene(t);
    await scene.worker(1);
    scene.pass(2500);
    const { monitor } = scene;
    const data = '{"web":{"requests_total":0,"worker_count":1}}';
    assert.equal(
      monitor.statusText({ totals: true, byWorker: true }),
      `{"type":"utilization_monitor","data":${data},"stalled":{"web":1},"totals":${data},` +
        `"workers":[{"id":1,"slot":0,"processId":null,"service":"web","mapping":"unknown",` +
        `"stalledFor":2.5,"data":{"requests_total":0}}]}`,
    );
    assert.equal(JSON.stringify(monitor), data);
    const status = monitor.status();
    assert.deepEqual(JSON.stringify(status.data), data);
    assert.deepEqual({ ...status.stalled }, { web: 1 });
    // What Ruby clients are told.
    const keys = [...(statusToWire(status) as Map<{ name: string }, unknown>).keys()];
    assert.deepEqual(
      keys.map(({ name }) => name),
      ["type", "data"],
    );
  });

  it("have nobody before the file is open", () => {
    assert.deepEqual({ ...new UtilizationMonitor().stalled() }, {});
  });
});

/** A supervisor, what it is told by workers, and the file that it gives them. */
class Host {
  readonly log: CollectingLogger = new CollectingLogger();
  readonly socket: string;
  readonly monitor: UtilizationMonitor;
  /** The state of each worker that has registered. */
  readonly states: WorkerController["state"][] = [];
  readonly #folder: string;

  constructor(test: Test) {
    this.#folder = temporaryFolder(test);
    this.socket = join(this.#folder, "a.ipc");
    this.monitor = new UtilizationMonitor({ path: join(this.#folder, "a.shm"), log: this.log });
    afterTest(test, () => this.monitor.close());
  }

  async listen(test: Test): Promise<void> {
    const { states, socket, log } = this;
    const spy: Monitor = {
      register({ state }) {
        states.push(state);
      },
      remove() {},
      status: () => ({ type: "spy", data: {} }),
    };
    const supervisor = await Supervisor.listen({ socket, monitors: [spy, this.monitor], log });
    afterTest(test, () => supervisor.close());
  }

  async worker<const Definition extends Record<string, "u8" | "u64">>(
    test: Test,
    schema: Definition,
    options: Partial<WorkerOptions> = {},
  ) {
    const { socket, log } = this;
    const worker = connect({ name: "web", schema, socket, log, ...options });
    afterTest(test, () => worker.close());
    await until(() => worker.id !== null, "it is registered");
    return worker;
  }

  bytes(): Buffer {
    return readFileSync(this.monitor.path);
  }
}

describe("the heartbeat of a worker", () => {
  it("moves behind its fields, and leaves them as they are", async (t) => {
    const host = new Host(t);
    await host.listen(t);
    const schema = { a: "u8", b_total: "u64", c: "u8" } as const;
    const { metrics } = await host.worker(t, schema, { heartbeatMs: 1, flushMs: 1 });
    metrics.a.set(255);
    metrics.b_total.set(2n ** 64n - 1n);
    metrics.c.set(255);
    assert.deepEqual({ ...(host.states[0]!.heartbeat as object) }, { offset: 20, interval_ms: 1 });
    for (let beats = 1; beats < 20; beats += 5) {
      await until(() => host.bytes().readUInt32LE(20) > beats, "it beats");
    }
    assert.deepEqual(
      { ...host.monitor.sample({ bigint: true }).web },
      {
        a: 255n,
        b_total: 2n ** 64n - 1n,
        c: 255n,
        worker_count: 1,
      },
    );
    const others = host.bytes();
    others.fill(0, 0, 24);
    assert.equal(
      others.every((byte) => byte === 0),
      true,
      "nothing else was written",
    );
  });

  it("is in the file before the worker is registered", async (t) => {
    const host = new Host(t);
    await host.listen(t);
    // Its next beat is far away.
    await host.worker(t, { requests_total: "u64" }, { heartbeatMs: 3_600_000 });
    assert.equal(host.bytes().readUInt32LE(8), 1);
    assert.equal(host.monitor.sampleByWorker()[0]!.stalledFor, 0);
  });

  it("allows for the time until it is in the file", async (t) => {
    const host = new Host(t);
    await host.listen(t);
    await host.worker(t, { requests_total: "u64" }, { mapping: "none", flushMs: 5000 });
    const { heartbeat } = host.states[0]!;
    assert.deepEqual({ ...(heartbeat as object) }, { offset: 8, interval_ms: 5000 });
  });

  it("does not beat where it is turned off", async (t) => {
    const host = new Host(t);
    await host.listen(t);
    await host.worker(t, { requests_total: "u64" }, { heartbeatMs: 0 });
    assert.equal("heartbeat" in host.states[0]!, false);
    assert.equal(host.bytes().readUInt32LE(8), 0);
    assert.equal(host.monitor.sampleByWorker()[0]!.stalledFor, null);
  });

  it("is left out, with one line, where the fields fill the segment", async (t) => {
    const host = new Host(t);
    await host.listen(t);
    const names = Array.from({ length: 64 }, (_, index) => `f${index}`);
    const schema = Object.fromEntries(names.map((name) => [name, "u64" as const]));
    const { metrics, registry } = await host.worker(t, schema);
    for (const name of names) metrics[name]!.set(7);
    registry.observer!.flush();
    assert.equal(host.monitor.sampleByWorker()[0]!.stalledFor, null);
    assert.equal(host.log.with("leave no room for a heartbeat").length, 1);
    const values = Object.values(host.monitor.sampleByWorker()[0]!.data);
    assert.deepEqual(new Set(values), new Set([7]));
  });

  it("starts again when the worker does", async (t) => {
    const host = new Host(t);
    await host.listen(t);
    const worker = await host.worker(t, { requests_total: "u64" }, { heartbeatMs: 1 });
    await worker.close();
    worker.run();
    await until(() => worker.id !== null, "it is registered again");
    await until(() => host.bytes().readUInt32LE(512 + 8) > 5, "it beats in its new segment");
  });

  for (const heartbeatMs of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31]) {
    it(`cannot have an interval of ${heartbeatMs}`, () => {
      const options = { schema: { a: "u64" }, heartbeatMs } as const;
      assert.throws(() => connect(options), {
        name: "RangeError",
        message: `Cannot use heartbeatMs ${heartbeatMs}: must be 0, or from 1 to 2147483647`,
      });
    });
  }

  it("goes to the first whole word behind the fields", () => {
    const offsets = [
      Schema.build({ a: "u8" }),
      Schema.build({ a: "u32" }),
      Schema.build({ a: "u64", b: "u16" }),
      Schema.fromRows([["far", "u64", 57]]),
    ].map(({ heartbeatOffset }) => heartbeatOffset);
    assert.deepEqual(offsets, [4, 4, 12, 68]);
  });
});
