import assert from "node:assert/strict";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { UtilizationMonitor, type UtilizationMonitorOptions } from "../host/utilization_monitor.ts";
import { add, decodeWorker, type ReferenceWorker, type Row, type Value } from "./reference.ts";
import { ownFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";
import { randomFrom } from "./support/random.ts";
import { until } from "./support/until.ts";
import { FakeWorker } from "./support/workers.ts";

const TYPES = "U8 S8 u16 U16 s16 S16 u32 U32 s32 S32 u64 U64 s64 S64 f32 F32 f64 F64".split(" ");

let files = 0;

function openMonitor(folder: string, options: UtilizationMonitorOptions = {}) {
  const log = new CollectingLogger();
  const path = join(folder, `${++files}.shm`);
  const monitor = new UtilizationMonitor({ path, log, ...options });
  return { monitor, log, path };
}

function bytesOf(size: number, write: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(size);
  write(new DataView(bytes.buffer));
  return bytes;
}

/** A worker of one u64 counter. */
function counting(id: number, count: bigint, state: Record<string, unknown> = { name: "web" }) {
  const bytes = bytesOf(8, (view) => view.setBigUint64(0, count, true));
  return new FakeWorker(id, state, [["requests_total", "u64", 0]], bytes);
}

function count(worker: FakeWorker, value: bigint): void {
  worker.write(bytesOf(8, (view) => view.setBigUint64(0, value, true)));
}

describe("UtilizationMonitor against a model", () => {
  const folder = ownFolder();

  // Random schemas of all types, aligned or not, over random segment sizes, while workers come,
  // write, drop their connection, are retired, and say goodbye.
  for (const mapping of [undefined, "none"] as const) {
    for (let seed = 1; seed <= 6; seed++) {
      it(`sums as the model does (mapping ${mapping ?? "default"}, seed ${seed})`, async () => {
        await runModel(folder, seed, mapping);
      });
    }
  }
});

async function runModel(folder: string, seed: number, mapping: "none" | undefined): Promise<void> {
  const random = randomFrom(seed);
  const segmentSize = [64, 128, 512, 1024][seed % 4]!;
  let now = 0;
  const leaseMs = 1000;
  const { monitor } = openMonitor(folder, {
    segmentSize,
    size: 8 * segmentSize,
    mapping,
    leaseMs,
    reuseDelayMs: 0,
    now: () => now,
  });
  await monitor.open();
  const services = ["web", "api", "jobs"];
  const schemas = Array.from({ length: 5 }, () => randomSchema(random, segmentSize));
  let live: FakeWorker[] = [];
  const detached: { worker: FakeWorker; until: number }[] = [];
  const retired = new Map<string, Value>();
  const seen = new Map<string, Set<string>>();
  let nextId = 1;

  const model = (worker: FakeWorker): ReferenceWorker => ({
    service: worker.state.name as string,
    rows: worker.rows,
    segment: new DataView(worker.bytes.buffer),
  });
  const retire = (worker: FakeWorker): void => {
    for (const [name, value] of decodeWorker(model(worker))) {
      if (!name.endsWith("_total")) continue;
      if (typeof value === "number" && !Number.isFinite(value)) continue;
      const key = `${worker.state.name} ${name}`;
      retired.set(key, add(retired.get(key) ?? 0n, value));
    }
  };
  const take = <T>(list: T[]): T | undefined =>
    list.splice(Math.floor(random() * list.length), 1)[0];

  try {
    for (let step = 0; step < 150; step++) {
      const choice = random();
      if (choice < 0.45) {
        const service = services[Math.floor(random() * services.length)]!;
        const rows = schemas[Math.floor(random() * schemas.length)]!;
        const bytes = randomBytes(random, segmentSize, rows);
        const worker = new FakeWorker(nextId++, { name: service }, rows, bytes);
        await monitor.register(worker);
        live.push(worker);
        const names = seen.get(service) ?? new Set();
        seen.set(service, names);
        for (const [name] of rows) if (name.endsWith("_total")) names.add(name);
      } else if (choice < 0.75) {
        const worker = live[Math.floor(random() * live.length)];
        worker?.write(randomBytes(random, segmentSize, worker.rows));
      } else if (choice < 0.85) {
        const worker = take(live);
        if (worker === undefined) continue;
        monitor.remove(worker);
        detached.push({ worker, until: now + leaseMs });
      } else if (choice < 0.92) {
        // Detached workers may go on writing until their lease ends.
        const one = detached[Math.floor(random() * detached.length)];
        one?.worker.write(randomBytes(random, segmentSize, one.worker.rows));
      } else {
        const worker = take(live);
        if (worker === undefined) continue;
        monitor.unregister(worker);
        retire(worker);
      }
      if (random() < 0.1) {
        now += 600;
        monitor.checkHolders();
        for (const { worker } of detached.filter(({ until }) => until <= now)) retire(worker);
        detached.splice(0, detached.length, ...detached.filter(({ until }) => until > now));
      }

      const workers = live.map(model);
      const expected = new Map<string, Map<string, Value>>();
      for (const worker of workers) {
        const sums = expected.get(worker.service) ?? new Map<string, Value>();
        expected.set(worker.service, sums);
        for (const [name, value] of decodeWorker(worker)) {
          sums.set(name, add(sums.get(name) ?? 0n, value));
        }
        sums.set("worker_count", add(sums.get("worker_count") ?? 0n, 1n));
      }
      compare(`sample at step ${step}`, monitor.sample({ bigint: true }), expected, workers);

      const totals = new Map<string, Map<string, Value>>();
      const everybody = [...live, ...detached.map(({ worker }) => worker)].map(model);
      for (const [service, names] of seen) {
        const sums = new Map<string, Value>();
        for (const name of names) {
          let sum = retired.get(`${service} ${name}`) ?? 0n;
          for (const worker of everybody) {
            if (worker.service !== service) continue;
            sum = add(sum, decodeWorker(worker).get(name) ?? 0n);
          }
          sums.set(name, sum);
        }
        sums.set("worker_count", BigInt(live.filter(({ state }) => state.name === service).length));
        totals.set(service, sums);
      }
      compare(`totals at step ${step}`, monitor.totals({ bigint: true }), totals, everybody);
      assert.equal(
        monitor.allocator!.availableCount,
        monitor.allocator!.segmentCount - live.length - detached.length,
      );
    }
    live = [];
  } finally {
    await monitor.close();
  }
}

/** Small floats: their sums must not depend on the order by more than rounding. */
function randomBytes(random: () => number, size: number, rows: readonly Row[]): Uint8Array {
  return bytesOf(size, (view) => {
    for (let i = 0; i < size; i++) view.setUint8(i, Math.floor(random() * 256));
    for (const [, type, offset] of rows) {
      const little = type[0] === "f";
      const value = Math.round(random() * 2 ** 20) / 16;
      if (/64/.test(type) && /f/i.test(type)) view.setFloat64(offset, value, little);
      else if (/f/i.test(type)) view.setFloat32(offset, value, little);
    }
  });
}

/** Fields that do not overlap: floats must stay what they were set to. */
function randomSchema(random: () => number, segmentSize: number): Row[] {
  const rows: Row[] = [];
  let offset = 0;
  for (let i = 0; offset < segmentSize - 16 && i < 24; i++) {
    const type = TYPES[Math.floor(random() * TYPES.length)]!;
    const size = Number(type.slice(1)) / 8;
    if (random() < 0.5) offset = Math.ceil(offset / size) * size;
    else offset += Math.floor(random() * 3);
    // A counter of one type everywhere: mixed integers and floats are the golden data's matter.
    const kind = /f/i.test(type) ? "float" : "integer";
    const suffix = random() < 0.4 && kind === "integer" ? "_total" : "";
    rows.push([`${kind}_${i % 6}${suffix}_${i}${suffix}`, type, offset]);
    offset += size;
  }
  return rows;
}

function compare(
  what: string,
  actual: Record<string, Record<string, Value>>,
  expected: Map<string, Map<string, Value>>,
  workers: readonly ReferenceWorker[],
): void {
  assert.deepEqual(Object.keys(actual).sort(), [...expected.keys()].sort(), what);
  for (const [service, sums] of expected) {
    const data = actual[service]!;
    assert.deepEqual(Object.keys(data).sort(), [...sums.keys()].sort(), `${what}: ${service}`);
    for (const [name, value] of sums) {
      const got = name === "worker_count" ? BigInt(data[name]!) : data[name]!;
      if (typeof value === "bigint") {
        assert.equal(got, value, `${what}: ${name} of ${service}`);
        continue;
      }
      const magnitude = workers
        .map((worker) => Math.abs(Number(decodeWorker(worker).get(name) ?? 0)))
        .reduce((sum, one) => sum + one, 0);
      assert.ok(
        Math.abs(Number(got) - value) <= 1e-12 * magnitude,
        `${what}: ${name} of ${service}: ${got}, not ${value}`,
      );
    }
  }
}

describe("sample()", () => {
  const folder = ownFolder();

  it("is empty before the file is open and without workers", async () => {
    const { monitor, path } = openMonitor(folder);
    assert.deepEqual({ ...monitor.sample() }, {});
    assert.deepEqual({ ...monitor.totals() }, {});
    assert.deepEqual(monitor.sampleByWorker(), []);
    assert.equal(existsSync(path), false);
    await monitor.open();
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual({ ...monitor.sample() }, {});
    await monitor.close();
    assert.equal(existsSync(path), false);
  });

  it("has number types that depend on the option alone", async () => {
    const { monitor } = openMonitor(folder);
    const row = ["requests_total", "u64", 0] as unknown as Row;
    await monitor.register(new FakeWorker(1, { name: "web" }, [row], Uint8Array.of(7)));
    const numbers: number[] = [
      monitor.sample().web!.requests_total!,
      monitor.sample({ bigint: false }).web!.requests_total!,
      monitor.totals().web!.requests_total!,
      monitor.sampleByWorker()[0]!.data.requests_total!,
      monitor.status().data.web!.requests_total!,
    ];
    assert.deepEqual(numbers, [7, 7, 7, 7, 7]);
    const exact = monitor.sample({ bigint: true }).web!;
    assert.equal(exact.requests_total, 7n);
    const count: number = exact.worker_count;
    assert.equal(count, 1);
    // @ts-expect-error: an integer is a bigint then.
    const wrong: number = monitor.totals({ bigint: true }).web!.requests_total!;
    assert.equal(wrong, 7n);
    await monitor.close();
  });

  it("combines gauges by sum, min, max and last", async () => {
    const { monitor } = openMonitor(folder);
    const rows = [
      ["sum", "s32", 0, { aggregate: "sum" }],
      ["min", "s32", 4, { aggregate: "min" }],
      ["max", "S64", 8, { aggregate: "max" }],
      ["last", "U8", 16, { aggregate: "last" }],
      ["low", "f64", 24, { aggregate: "min" }],
      ["high", "u64", 32, { aggregate: "max" }],
    ] as unknown as Row[];
    const make = (id: number, n: number, low: number, high: bigint): FakeWorker =>
      new FakeWorker(
        id,
        { name: "web" },
        rows,
        bytesOf(64, (view) => {
          view.setInt32(0, n, true);
          view.setInt32(4, n, true);
          view.setBigInt64(8, BigInt(n), false);
          view.setUint8(16, n & 0xff);
          view.setFloat64(24, low, true);
          view.setBigUint64(32, high, true);
        }),
      );
    const workers = [
      make(1, -7, Number.NaN, 2n ** 64n - 1n),
      make(2, 5, 2.5, 2n ** 64n - 2n),
      make(3, 3, -0.5, 0n),
    ];
    for (const worker of workers) await monitor.register(worker);
    const sample = () => ({ ...monitor.sample({ bigint: true }).web });
    assert.deepEqual(sample(), {
      sum: 1n,
      min: -7n,
      max: 5n,
      last: 3n,
      low: -0.5,
      high: 2n ** 64n - 1n,
      worker_count: 3,
    });
    // The last one in registration order, not in the order of segments.
    monitor.unregister(workers[0]!);
    const late = make(4, 1, Number.NaN, 1n);
    await monitor.register(late);
    assert.equal(sample().last, 1n);
    monitor.unregister(late);
    monitor.unregister(workers[2]!);
    assert.equal(sample().last, 5n);
    assert.equal(sample().high, 2n ** 64n - 2n);
    await monitor.close();
  });

  it("takes the last registered of several schemas", async () => {
    const { monitor } = openMonitor(folder);
    const make = (id: number, type: string, value: number): FakeWorker =>
      new FakeWorker(
        id,
        {},
        [["version", type, 0, { aggregate: "last" }] as unknown as Row],
        bytesOf(8, (view) => view.setUint8(type === "U64" ? 7 : 0, value)),
      );
    for (const worker of [
      make(1, "U64", 1),
      make(2, "u16", 2),
      make(3, "U64", 3),
      make(4, "u16", 4),
    ]) {
      await monitor.register(worker);
      assert.equal(monitor.sample().unknown!.version, worker.id);
    }
    await monitor.close();
  });

  it("lets an explicit declaration beat a default, with one warning", async () => {
    const { monitor, log } = openMonitor(folder);
    const make = (id: number, options?: object): FakeWorker => {
      const row = ["depth", "U8", 0, ...(options === undefined ? [] : [options])];
      return new FakeWorker(id, { name: "web" }, [row as unknown as Row], Uint8Array.of(id));
    };
    await monitor.register(make(1));
    assert.equal(monitor.sample().web!.depth, 1);
    await monitor.register(make(2, { aggregate: "max" }));
    assert.equal(monitor.sample().web!.depth, 2);
    await monitor.register(make(3, { aggregate: "min" }));
    assert.equal(monitor.sample().web!.depth, 3, "the first explicit one holds");
    assert.deepEqual(log.with("two ways").length, 1);
    assert.match(
      log.with("two ways")[0]!,
      /Field "depth" of service "web" is declared in two ways: gauge \(sum\) and gauge \(max\), using gauge \(max\)/,
    );
    await monitor.close();
  });

  it("forgets how a field was declared with its last worker, and keeps what was counted", async () => {
    const opened = openMonitor(folder);
    const { log, path } = opened;
    let { monitor } = opened;
    let id = 0;
    /** What is told while one worker lives that has counted 7. */
    const told = async (kind: string, unit: string): Promise<object> => {
      const row = ["jobs", "U8", 0, { kind, unit }] as unknown as Row;
      const worker = new FakeWorker(++id, { name: "web" }, [row], Uint8Array.of(7));
      await monitor.register(worker);
      const { jobs } = monitor.sample().web!;
      const total = monitor.totals().web!.jobs;
      const declared = monitor.fields().get("web")!.get("jobs")!;
      monitor.unregister(worker);
      return { jobs, total, kind: declared.kind, unit: declared.unit };
    };
    assert.deepEqual(await told("counter", "a"), { jobs: 7, total: 7, kind: "counter", unit: "a" });
    const gauge = { jobs: 7, total: undefined, kind: "gauge" };
    assert.deepEqual(await told("gauge", "b"), { ...gauge, unit: "b" });
    const total = { jobs: 7, total: 14, kind: "counter" };
    assert.deepEqual(await told("counter", "c"), { ...total, unit: "c" });
    await monitor.close();
    monitor = new UtilizationMonitor({ path, log });
    assert.deepEqual(await told("gauge", "d"), { ...gauge, unit: "d" });
    assert.deepEqual(await told("counter", "e"), { ...total, total: 21, unit: "e" });
    assert.deepEqual(log.with("two ways"), []);
    await monitor.close();
  });

  it("keeps what a worker counted while others take the field for a gauge", async () => {
    const opened = openMonitor(folder);
    const { log, path } = opened;
    let { monitor } = opened;
    let id = 0;
    const enter = async (kind: "counter" | "gauge", count: number): Promise<FakeWorker> => {
      const row = ["x", "U8", 0, { kind }] as unknown as Row;
      const worker = new FakeWorker(++id, { name: "web" }, [row], Uint8Array.of(count));
      await monitor.register(worker);
      return worker;
    };
    const pass = async (count: number): Promise<void> => {
      monitor.unregister(await enter("counter", count));
    };
    const gauge = await enter("gauge", 50);
    await pass(100);
    await pass(5);
    assert.equal(monitor.totals().web!.x, undefined);
    monitor.unregister(gauge);
    const counting = await enter("counter", 1);
    assert.equal(monitor.totals().web!.x, 106);
    monitor.unregister(counting);
    assert.equal(monitor.totals().web!.x, 106);
    await monitor.close();
    monitor = new UtilizationMonitor({ path, log });
    await monitor.open();
    assert.equal(monitor.totals().web!.x, 106);
    await monitor.close();
  });

  it("cuts names of services to 255, and no character in two", async () => {
    const { monitor } = openMonitor(folder);
    const name = "a".repeat(254);
    await monitor.register(counting(1, 1n, { name: `${name}\u{1f600}` }));
    assert.deepEqual(Object.keys(monitor.sample()), [`${name}\ufffd`]);
    await monitor.close();
  });

  it("gives exact integers beyond 2^64, as bigint and as text", async () => {
    const { monitor } = openMonitor(folder);
    await monitor.register(counting(1, 2n ** 64n - 1n));
    await monitor.register(counting(2, 2n ** 64n - 2n));
    const exact = 2n ** 65n - 3n;
    assert.equal(monitor.sample({ bigint: true }).web!.requests_total, exact);
    assert.equal(monitor.sample().web!.requests_total, Number(exact));
    assert.equal(monitor.stringify(), `{"web":{"requests_total":${exact},"worker_count":2}}`);
    assert.equal(
      JSON.stringify(monitor),
      `{"web":{"requests_total":${Number(exact)},"worker_count":2}}`,
    );
    assert.equal(
      monitor.statusText({ totals: true, byWorker: true }),
      `{"type":"utilization_monitor","data":{"web":{"requests_total":${exact},"worker_count":2}},` +
        `"stalled":{},"totals":{"web":{"requests_total":${exact},"worker_count":2}},"workers":[` +
        `{"id":1,"slot":0,"processId":null,"service":"web","mapping":"unknown","stalledFor":null,"data":{"requests_total":${2n ** 64n - 1n}}},` +
        `{"id":2,"slot":1,"processId":null,"service":"web","mapping":"unknown","stalledFor":null,"data":{"requests_total":${2n ** 64n - 2n}}}]}`,
    );
    await monitor.close();
  });

  it("counts a worker whose fields are all unusable, and names each", async () => {
    const { monitor, log } = openMonitor(folder);
    const rows = [["", "u8", 0], ["worker_count", "u32", 0], ["far", "u64", 505], [7], "nonsense"];
    const worker = new FakeWorker(1, { name: "web" }, rows as unknown as Row[], new Uint8Array(8));
    await monitor.register(worker);
    assert.deepEqual({ ...monitor.sample().web }, { worker_count: 1 });
    assert.deepEqual({ ...monitor.totals().web }, { worker_count: 1 });
    assert.equal(log.with('of worker 1 of service "web"').length, 5);
    assert.match(log.with('"far"')[0]!, /ends at byte 513, the segment at 512/);
    await monitor.close();
  });
});

describe("totals()", () => {
  const folder = ownFolder();
  const total = (monitor: UtilizationMonitor) =>
    monitor.totals({ bigint: true }).web!.requests_total;

  it("counts a worker that comes back with its incarnation once", async () => {
    const { monitor } = openMonitor(folder, { reuseDelayMs: 0 });
    const state = { name: "web", incarnation: "a" };
    const first = counting(1, 10n, state);
    await monitor.register(first);
    monitor.remove(first);
    assert.deepEqual({ ...monitor.sample() }, {});
    assert.equal(total(monitor), 10n);
    count(first, 12n); // It goes on counting where it was.
    assert.equal(total(monitor), 12n);
    const second = counting(2, 13n, state);
    await monitor.register(second);
    assert.equal(total(monitor), 13n);
    assert.equal(monitor.detachedCount, 0);
    assert.equal(monitor.allocator!.availableCount, 63);

    // Its old connection ends only after it is back.
    const third = counting(3, 20n, state);
    await monitor.register(third);
    assert.equal(total(monitor), 20n);
    assert.equal(monitor.sample().web!.worker_count, 1);
    monitor.remove(second);
    assert.equal(total(monitor), 20n);

    // It says goodbye, and runs again.
    monitor.unregister(third);
    assert.equal(total(monitor), 20n);
    assert.equal(monitor.allocator!.availableCount, 64);
    await monitor.register(counting(4, 21n, state));
    assert.equal(total(monitor), 21n);
    await monitor.close();
  });

  it("counts foreign workers of one process once each, whichever returns first", async () => {
    const { monitor } = openMonitor(folder);
    const make = (id: number, value: bigint): FakeWorker =>
      Object.assign(counting(id, value), { processId: process.pid });
    const [a, b] = [make(1, 10n), make(2, 1000n)];
    await monitor.register(a);
    await monitor.register(b);
    monitor.remove(a);
    monitor.remove(b);
    assert.equal(total(monitor), 1010n);
    await monitor.register(make(3, 1001n));
    assert.equal(total(monitor), 1011n, "it left the segment with 1000");
    await monitor.register(make(4, 11n));
    assert.equal(total(monitor), 1012n);
    assert.equal(monitor.detachedCount, 0);
    // One more has no segment to return to.
    await monitor.register(make(5, 5n));
    assert.equal(total(monitor), 1017n);
    await monitor.close();
  });

  it("takes out of the retired base what was added to it, and no more", async () => {
    const { monitor } = openMonitor(folder);
    const make = (id: number, value: number, incarnation: string, options?: object): FakeWorker => {
      const row = ["jobs", "U8", 0, ...(options === undefined ? [] : [options])];
      const state = { name: "web", incarnation };
      return new FakeWorker(id, state, [row as unknown as Row], Uint8Array.of(value));
    };
    const jobs = () => monitor.totals().web!.jobs;
    const gauge = make(1, 100, "a");
    await monitor.register(gauge);
    monitor.unregister(gauge); // A gauge: nothing is retired.
    await monitor.register(make(2, 5, "b", { kind: "counter" }));
    assert.equal(jobs(), 5);
    await monitor.register(make(3, 100, "a"));
    assert.equal(jobs(), 105);
    await monitor.close();
  });

  it("keeps a counter that one worker called a gauge for a while", async () => {
    const { monitor } = openMonitor(folder, { leaseMs: 0, reuseDelayMs: 0 });
    const worker = counting(1, 1000n);
    await monitor.register(worker);
    const row = ["requests_total", "u64", 0, { kind: "gauge", aggregate: "max" }];
    const odd = new FakeWorker(2, { name: "web" }, [row as unknown as Row], new Uint8Array(8));
    await monitor.register(odd);
    assert.equal(monitor.totals().web!.requests_total, undefined);
    monitor.unregister(odd);
    // What it left is kept while it may come back: here until there are many of them.
    for (let id = 10; id < 10 + 4097; id++) {
      const other = counting(id, 1n, { name: "other" });
      await monitor.register(other);
      monitor.unregister(other);
    }
    assert.equal(total(monitor), 1000n);
    assert.equal(monitor.sample().web!.requests_total, 1000);
    monitor.unregister(worker);
    assert.equal(total(monitor), 1000n);
    await monitor.close();
  });

  it("keeps services whose workers are gone, up to a number", async () => {
    const { monitor, log } = openMonitor(folder, { limits: { services: 3 } });
    for (let id = 1; id <= 5; id++) {
      const worker = counting(id, BigInt(id), { name: `service ${id}` });
      await monitor.register(worker);
      monitor.unregister(worker);
    }
    // A departed worker may come back for as long as its process may live.
    const totals = monitor.totals();
    assert.equal(totals["service 5"]!.requests_total, 5);
    assert.equal(totals["service 5"]!.worker_count, 0);
    assert.ok(log.lines.length > 0);
    await monitor.close();
  });

  it("leaves a float that is not finite out of the retired base", async () => {
    const { monitor } = openMonitor(folder);
    const rows: Row[] = [["seconds_total", "f64", 0]];
    const make = (id: number, value: number): FakeWorker =>
      new FakeWorker(
        id,
        { name: "web" },
        rows,
        bytesOf(8, (view) => view.setFloat64(0, value, true)),
      );
    const workers = [make(1, 1.5), make(2, Number.NaN), make(3, 2)];
    for (const worker of workers) await monitor.register(worker);
    assert.ok(Number.isNaN(monitor.totals().web!.seconds_total));
    for (const worker of workers) monitor.unregister(worker);
    assert.equal(monitor.totals().web!.seconds_total, 3.5);
    await monitor.close();
  });
});

describe("segments", () => {
  const folder = ownFolder();

  it("are zeroed before the next holder", async () => {
    const { monitor } = openMonitor(folder, { size: 512, maxSize: 512, reuseDelayMs: 0 });
    const first = counting(1, 99n);
    await monitor.register(first);
    monitor.unregister(first);
    const rows: Row[] = [["requests_total", "u64", 0]];
    const second = new FakeWorker(2, { name: "web" }, rows, new Uint8Array(0));
    await monitor.register(second);
    assert.equal(second.place!.offset, first.place!.offset);
    assert.equal(monitor.sample().web!.requests_total, 0);
    await monitor.close();
  });

  it("are retired later when they cannot be read now", async () => {
    const { monitor, log } = openMonitor(folder, { leaseMs: 0 });
    const worker = counting(1, 7n);
    await monitor.register(worker);
    const { file } = monitor.allocator!;
    const view = file.view;
    file.view = () => {
      throw new Error("EIO");
    };
    monitor.remove(worker);
    await until(() => log.with("Error retiring a worker").length > 0, "it has tried");
    assert.equal(monitor.detachedCount, 1);
    file.view = view;
    await until(() => monitor.detachedCount === 0, "it is retired");
    assert.equal(monitor.totals().web!.requests_total, 7);
    await monitor.close();
  });

  it("rest after a holder that could not be seen", async () => {
    let now = 0;
    const { monitor, log } = openMonitor(folder, {
      size: 512,
      maxSize: 512,
      leaseMs: 100,
      reuseDelayMs: 1000,
      now: () => now,
    });
    const first = counting(1, 1n);
    await monitor.register(first);
    monitor.remove(first);
    now = 99;
    monitor.checkHolders();
    assert.equal(monitor.allocator!.availableCount, 0, "within its lease");
    now = 100;
    monitor.checkHolders();
    assert.equal(monitor.allocator!.availableCount, 1);
    const second = counting(2, 5n);
    await monitor.register(second);
    assert.equal(second.place, null, "it rests");
    assert.match(log.with("Failed to allocate")[0]!, /512 bytes/);
    now = 1100;
    const third = counting(3, 6n);
    await monitor.register(third);
    assert.equal(third.place!.offset, 0);
    assert.equal(monitor.totals().web!.requests_total, 7);
    await monitor.close();
  });
});

describe("open()", () => {
  const folder = ownFolder();

  it("refuses a file that another monitor owns, and leaves it alone", async () => {
    const { monitor, path } = openMonitor(folder);
    await monitor.open();
    const { ino } = statSync(path);
    const second = new UtilizationMonitor({ path, log: new CollectingLogger() });
    await assert.rejects(second.open(), {
      message: `Cannot own shared file "${path}": another supervisor owns it`,
    });
    assert.equal(statSync(path).ino, ino);
    await monitor.close();
    await second.open();
    await second.close();
  });

  it("refuses a symlink, without touching what it leads to", async () => {
    const { monitor, path } = openMonitor(folder);
    const target = join(folder, "target");
    writeFileSync(target, "precious");
    symlinkSync(target, path);
    await assert.rejects(monitor.open(), /not a file is in its place, a symbolic link/);
    assert.equal(statSync(target).size, 8);
    assert.equal(lstatSync(path).isSymbolicLink(), true);
    await monitor.close();
  });

  it("replaces an old file without touching its other names", async () => {
    const { monitor, path } = openMonitor(folder);
    await monitor.close();
    writeFileSync(path, "old");
    linkSync(path, `${path}.kept`);
    const again = new UtilizationMonitor({ path, log: new CollectingLogger() });
    await again.open();
    assert.equal(statSync(`${path}.kept`).size, 3);
    await again.close();
  });

  it("names a path that is a directory", async () => {
    const { monitor, path } = openMonitor(folder);
    mkdirSync(path);
    await assert.rejects(
      monitor.open(),
      /Cannot create shared file ".*": something that is not a file/,
    );
    await monitor.close();
  });

  it("leaves nothing behind when it cannot hand the file over", async () => {
    const { monitor, path } = openMonitor(folder, { groupId: 2 ** 40 });
    await assert.rejects(monitor.open());
    assert.equal(existsSync(path), false);
    assert.equal(existsSync(`${path}.lock`), false);
    await monitor.close();
  });

  it("refuses sizes and intervals out of range", () => {
    for (const options of [
      { segmentSize: 100 },
      { segmentSize: 0 },
      { interval: 0 },
      { interval: -1 },
      { interval: 30 * 24 * 3600 },
    ]) {
      assert.throws(() => new UtilizationMonitor(options), RangeError);
    }
  });

  it("says that a file was unlinked, once, and takes no new workers", async () => {
    const { monitor, log, path } = openMonitor(folder);
    const first = counting(1, 1n);
    await monitor.register(first);
    unlinkSync(path);
    for (const id of [2, 3]) {
      const refused = counting(id, 1n);
      await monitor.register(refused);
      assert.equal(refused.place, null);
    }
    assert.equal(log.with("was unlinked or replaced").length, 1);
    assert.equal(monitor.sample().web!.requests_total, 1);
    await monitor.close();
  });
});

describe("run()", () => {
  const folder = ownFolder();

  it("samples at once, then again and again, and goes on after an error", async () => {
    let rounds = 0;
    class Counted extends UtilizationMonitor {
      override emit(): void {
        rounds++;
        if (rounds === 2) throw new Error("this round is lost");
      }
    }
    const log = new CollectingLogger();
    const monitor = new Counted({ path: join(folder, "run.shm"), interval: 0.005, log });
    await monitor.register(counting(1, 3n));
    const loop = monitor.run();
    assert.equal(rounds, 1, "at once");
    let samples = 0;
    for await (const sample of loop) {
      assert.equal(sample.web!.requests_total, 3);
      if (++samples === 3) break;
    }
    assert.ok(rounds >= 4);
    assert.equal(log.with("Error monitoring utilization").length, 1);
    const before = rounds;
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(rounds, before, "an iteration that ends stops the loop");
    await monitor.close();
  });

  it("logs the sample by default, and ends by its signal", async () => {
    const { monitor, log } = openMonitor(folder, { interval: 60 });
    await monitor.register(counting(1, 3n));
    const controller = new AbortController();
    const loop = monitor.run({ signal: controller.signal });
    assert.equal(log.with("Utilization:").length, 1);
    assert.equal((await loop.next()).value!.web!.requests_total, 3);
    const next = loop.next();
    controller.abort();
    assert.equal((await next).done, true);
    assert.equal((await loop.next()).done, true);
    await monitor.close();
  });
});
