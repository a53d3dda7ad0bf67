import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import type { WriteStream } from "node:tty";
import { type Frame, FrameReader } from "../host/cli/frame.ts";
import { type Line, paint, Screen, wantsColor } from "../host/cli/screen.ts";
import { formatNumber, renderTable } from "../host/cli/table.ts";
import type { Sample, WorkerSample } from "../host/sample.ts";
import type { Texts } from "../host/text_field.ts";
import type { UtilizationMonitor } from "../host/utilization_monitor.ts";

/** A monitor of one service with a counter and a gauge. */
class FakeMonitor {
  counters: bigint[] = [10n, 20n];
  stalledFor: (number | null)[] = [0, null];
  said: Record<string, Texts> = {};

  sample(): Sample {
    const requests_total = this.counters.reduce((sum, value) => sum + value, 0n);
    const web = { requests_total, requests_active: 7n, worker_count: this.counters.length };
    return { web } as unknown as Sample;
  }

  totals(): Sample {
    const { requests_total } = this.sample().web!;
    return {
      web: { requests_total: (requests_total as bigint) + 100n, worker_count: 2 },
    } as Sample;
  }

  text(): Record<string, Texts> {
    return this.said;
  }

  sampleByWorker(): WorkerSample[] {
    return this.counters.map((requests_total, index) => ({
      id: index + 1,
      slot: index,
      processId: 5000 + index,
      service: "web",
      mapping: "koffi",
      stalledFor: this.stalledFor[index]!,
      ...(index === 0 && { text: this.said.web }),
      data: { requests_total, requests_active: 3n },
    }));
  }
}

function reader(monitor: FakeMonitor, now: () => number): FrameReader {
  return new FrameReader(monitor as unknown as UtilizationMonitor, now);
}

function textOf(lines: readonly Line[]): string[] {
  return lines.map((line) => paint(line, 80, false).trimEnd());
}

describe("FrameReader", () => {
  it("gives counters of all workers there ever were, and rates from the second frame on", () => {
    const monitor = new FakeMonitor();
    let now = 1000;
    const frames = reader(monitor, () => now);
    const first = frames.read();
    assert.deepEqual(first.columns, [
      { name: "requests_total", isCounter: true },
      { name: "requests_active", isCounter: false },
    ]);
    const [web] = first.services;
    assert.deepEqual(
      [...web!.values],
      [
        ["requests_total", 130n],
        ["requests_active", 7n],
      ],
    );
    assert.deepEqual([...web!.rates], []);
    assert.equal(web!.workerCount, 2);
    assert.equal(web!.stalledCount, 0);

    monitor.counters = [16n, 20n];
    monitor.stalledFor = [2.5, null];
    now += 500;
    const second = frames.read().services[0]!;
    assert.deepEqual([...second.rates], [["requests_total", 12]]);
    const rates = second.workers.map((worker) => worker.rates.get("requests_total"));
    assert.deepEqual(rates, [12, 0]);
    assert.equal(second.stalledCount, 1);
    assert.deepEqual(
      second.workers.map(({ stalledFor }) => stalledFor),
      [2.5, null],
    );
  });

  it("keeps the rate when it is asked again too soon", () => {
    const monitor = new FakeMonitor();
    let now = 0;
    const frames = reader(monitor, () => now);
    frames.read();
    monitor.counters = [20n, 20n];
    now += 1000;
    frames.read();
    monitor.counters = [21n, 20n];
    const again = frames.read().services[0]!;
    assert.equal(again.values.get("requests_total"), 141n);
    assert.equal(again.rates.get("requests_total"), 10);
    now += 1000;
    assert.equal(frames.read().services[0]!.rates.get("requests_total"), 1);
  });
});

describe("FrameReader of a histogram", () => {
  const LARGE = 2n ** 60n;

  function frames() {
    const data = {
      requests_total: 1n,
      s_bucket_1: LARGE,
      s_bucket_2: 0n,
      s_bucket_inf: 0n,
      s_sum: 0.5,
    };
    const workers: WorkerSample[] = [
      { id: 1, slot: 0, processId: 5000, service: "web", mapping: "koffi", stalledFor: 0, data },
    ];
    let now = 0;
    const monitor = {
      sample: () => ({ web: { ...data, worker_count: 1 } }) as Sample,
      totals: () => ({ web: { ...data, worker_count: 1 } }) as Sample,
      sampleByWorker: () => workers,
      text: () => ({}),
    };
    const frames = new FrameReader(monitor, () => now);
    const read = (ms: number, change: Partial<typeof data> = {}) => {
      Object.assign(data, change);
      now += ms;
      return frames.read();
    };
    return read;
  }

  it("tells what was observed since the look before, exactly; at first since ever", () => {
    const read = frames();
    const first = read(0);
    assert.deepEqual(first.columns, [{ name: "requests_total", isCounter: true }]);
    assert.deepEqual(first.histograms, ["s"]);
    const of = ({ services: [web] }: Frame) => web!.histograms.get("s");
    assert.deepEqual(of(first), { count: LARGE, rate: undefined, p50: 0.5, p99: 0.99 });
    const second = read(2000, { s_bucket_1: LARGE + 1n, s_bucket_2: 3n });
    const expected = { count: LARGE + 4n, rate: 2, p50: 1 + 1 / 3, p99: 1 + 2.96 / 3 };
    assert.deepEqual(of(second), expected);
    assert.deepEqual(second.services[0]!.workers[0]!.histograms.get("s"), expected);
    // Too soon to tell anything new.
    assert.deepEqual(of(read(10, { s_bucket_2: 9n })), expected);
    read(1000);
    const idle = of(read(1000));
    assert.deepEqual([idle?.rate, idle?.p50, idle?.p99], [0, undefined, undefined]);
    // Another one by the same name began anew.
    assert.deepEqual(of(read(1000, { s_bucket_1: 2n })), { count: 11n });
    assert.equal(read(1000).services[0]!.values.get("s_sum"), 0.5);
  });

  it("is a table of its count, rate and quantiles, and of no part", () => {
    const read = frames();
    read(0, { s_bucket_1: 1200n });
    const frame = read(1000, { s_bucket_1: 1220n });
    const [above, head, web] = textOf(renderTable(frame, { columns: 80, rows: 24 }));
    assert.match(above!, / s$| s {2}/);
    assert.match(head!, /total +\/s +count +\/s +p50 +p99$/);
    assert.match(web!, /1,220 +20 +0\.50 +0\.99$/);
    read(1000);
    const [, , idle] = textOf(renderTable(read(1000), { columns: 80, rows: 24 }));
    assert.match(idle!, /1,220 +0 +- +-$/);
    // Of what is over there is no rate.
    const [, over] = textOf(renderTable(frames()(0), { columns: 80, rows: 24 }));
    assert.match(over!, /count +p50 +p99$/);
  });
});

describe("renderTable()", () => {
  const frame: Frame = {
    columns: [
      { name: "requests_total", isCounter: true },
      { name: "load", isCounter: false },
    ],
    histograms: [],
    services: [
      {
        name: "web",
        workerCount: 2,
        stalledCount: 0,
        values: new Map<string, number | bigint>([
          ["requests_total", 12_345_678n],
          ["load", 0.5],
        ]),
        rates: new Map([["requests_total", 1234.5]]),
        histograms: new Map(),
        workers: [5001, 5002].map((processId, index) => ({
          id: index,
          processId,
          mapping: "koffi",
          stalledFor: 0,
          values: new Map<string, number | bigint>([
            ["requests_total", 6_000n],
            ["load", 0.25],
          ]),
          rates: new Map<string, number>(),
          histograms: new Map(),
        })),
      },
      {
        name: "a\u001b[2J",
        workerCount: 1,
        stalledCount: 0,
        values: new Map(),
        rates: new Map(),
        histograms: new Map(),
        workers: [],
      },
    ],
  };

  it("has what they say below each, where that is wanted, and obeys none of it", () => {
    const long = "a".repeat(100);
    const [web, other] = frame.services;
    const [first, second] = web!.workers;
    const workers = [{ ...first!, text: { version: "1.2.3\u001b", commit: long } }, second!];
    const services = [{ ...web!, text: { version: "1.2.4" }, workers }, other!];
    const options = { columns: 80, rows: Number.POSITIVE_INFINITY };
    const said = textOf(renderTable({ ...frame, services }, { ...options, texts: true }));
    assert.deepEqual(said.slice(2, 6), [
      "web  2 workers      12,345,678     1,235     0.5",
      "  version 1.2.4",
      "  pid 5001               6,000              0.25",
      `    version 1.2.3\u{fffd}, commit ${long}`.slice(0, 80),
    ]);
    const without = textOf(renderTable({ ...frame, services }, options));
    assert.deepEqual(without, textOf(renderTable(frame, options)));
  });

  it("aligns numbers to the right, with separators", () => {
    const lines = textOf(renderTable(frame, { columns: 80, rows: 24 }));
    assert.deepEqual(lines, [
      "                      requests",
      "service, workers         total        /s    load",
      "web  2 workers      12,345,678     1,235     0.5",
      "  pid 5001               6,000              0.25",
      "  pid 5002               6,000              0.25",
      "",
      "a\u{fffd}[2J  1 worker",
    ]);
  });

  it("marks stalled workers, and counts them", () => {
    const [web] = frame.services;
    const [first, second] = web!.workers;
    const workers = [
      { ...first!, stalledFor: null },
      { ...second!, stalledFor: 12.7 },
    ];
    const stalled = { ...frame, services: [{ ...web!, stalledCount: 1, workers }] };
    const lines = renderTable(stalled, { columns: 80, rows: 24 });
    const alerts = lines.map((line) => line.some(({ style }) => style === "alert"));
    assert.deepEqual(alerts, [false, false, true, false, true]);
    assert.match(textOf(lines)[2]!, /^web {2}2 workers, 1 stalled +12,345,678/);
    assert.match(textOf(lines)[3]!, /^ {2}pid 5001 +6,000/);
    assert.match(textOf(lines)[4]!, /^ {2}pid 5002 stalled 12 s +6,000/);
  });

  it("counts the workers for which there are no lines, but shows stalled ones", () => {
    const worker = frame.services[0]!.workers[0]!;
    const workers = Array.from({ length: 50 }, (_, i) => ({
      ...worker,
      processId: 5000 + i,
      stalledFor: i === 40 ? 3 : 0,
    }));
    const many = { ...frame, services: [{ ...frame.services[0]!, workers }] };
    const lines = textOf(renderTable(many, { columns: 80, rows: 10 }));
    assert.equal(lines.length, 10);
    assert.match(lines[3]!, /pid 5040 stalled 3 s/);
    assert.equal(lines.at(-1), "  and 44 more");
    assert.equal(renderTable(many, { columns: 80, rows: 1000 }).length, 53);
  });

  it("gives up rates first, then columns, where there is no room", () => {
    for (const columns of [60, 45, 40, 30, 20]) {
      const lines = textOf(renderTable(frame, { columns, rows: 24 }));
      for (const line of lines.slice(0, 5)) assert.ok(line.length <= Math.max(columns, 28), line);
      assert.match(lines[2]!, /12,345,678/);
      assert.equal(lines[1]!.includes("/s"), columns >= 40);
    }
  });
});

describe("formatNumber()", () => {
  it("writes all digits of integers, and two of fractions", () => {
    assert.equal(formatNumber(2n ** 64n - 1n), "18,446,744,073,709,551,615");
    assert.equal(formatNumber(0.126), "0.13");
    assert.equal(formatNumber(undefined), "");
  });
});

describe("paint()", () => {
  const line: Line = [{ text: "abc", style: "bold" }, { text: "def" }];

  it("cuts to the width, and writes no escape sequence without color", () => {
    assert.equal(paint(line, 4, false), "abcd");
    assert.equal(paint(line, 2, true), "\x1b[1mab\x1b[0m");
    assert.equal(wantsColor({ NO_COLOR: "1" }), false);
    assert.equal(wantsColor({ NO_COLOR: "" }), true);
  });
});

describe("Screen", () => {
  it("puts the terminal back, and leaves the last picture", () => {
    const stream = Object.assign(new PassThrough(), { columns: 20, rows: 2 });
    stream.setEncoding("utf8");
    const screen = new Screen(stream as unknown as WriteStream, (_, rows) =>
      [[{ text: "one" }], [{ text: "two" }], [{ text: "three" }]].slice(0, rows),
    );
    screen.enter();
    const begun = stream.read() as string;
    assert.ok(begun.startsWith("\x1b[?1049h\x1b[?25l\x1b[?2026h\x1b[H\x1b[J"));
    assert.ok(begun.endsWith("\x1b[1Hone\x1b[K\x1b[2Htwo\x1b[K\x1b[?2026l"));
    stream.emit("resize");
    assert.match(stream.read() as string, /one/);
    screen.leave();
    assert.equal(stream.read(), "\x1b[?25h\x1b[?1049lone\ntwo\nthree\n");
    screen.leave();
    screen.draw();
    assert.equal(stream.read(), null);
    assert.equal(process.listenerCount("SIGTSTP"), 0);
  });
});
