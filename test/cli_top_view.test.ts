import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { type Frame, FrameReader } from "../host/cli/frame.ts";
import { paint } from "../host/cli/screen.ts";
import { cut, shorten, shortenStart, widthOf } from "../host/cli/text_width.ts";
import { glyphsOf, PLAIN, UNICODE } from "../host/cli/top/glyphs.ts";
import { Snapshot } from "../host/cli/top/snapshot.ts";
import { bars } from "../host/cli/top/sparkline.ts";
import { TopState } from "../host/cli/top/state.ts";
import { formatDuration, formatValue } from "../host/cli/top/units.ts";
import { renderTop, type Scene } from "../host/cli/top/view.ts";
import { projectFile } from "./data.ts";

const SCENE: Scene = { path: "/run/app/default.ipc", interval: "1s", glyphs: UNICODE };
const NOON = new Date(2026, 10, 25, 12, 0, 0);

/** What a supervisor of two services would answer after so many seconds. */
function statusAt(second: number, webWorkers = 3): string {
  const web = Array.from({ length: webWorkers }, (_, index) => ({
    id: index + 1,
    processId: 4001 + index,
    service: "web",
    mapping: "koffi",
    stalledFor: index === 1 && second > 5 ? second - 5 : 0,
    data: {
      requests_active: (second + index) % 5,
      requests_total: 1000 * (index + 1) + second * (10 + index),
      event_loop_utilization: (index + 1) / 4,
      event_loop_delay_seconds: 0.0115,
      cpu_seconds_total: second * 0.25,
      heap_used_bytes: 5 * 2 ** 20,
    },
  }));
  const ruby = {
    id: 90,
    processId: 5001,
    service: "名前\u001b[2J",
    mapping: "none",
    stalledFor: null,
    data: { requests_active: 0, requests_total: 7 },
  };
  const sum = (name: "requests_active" | "requests_total" | "cpu_seconds_total"): number =>
    web.reduce((total, { data }) => total + data[name], 0);
  const counters = {
    requests_total: sum("requests_total"),
    cpu_seconds_total: sum("cpu_seconds_total"),
  };
  const gauges = {
    requests_active: sum("requests_active"),
    event_loop_utilization: web.reduce((all, { data }) => all + data.event_loop_utilization, 0),
    event_loop_delay_seconds: 0.0115,
    heap_used_bytes: 5 * 2 ** 20 * webWorkers,
  };
  const data = {
    web: { ...gauges, ...counters, worker_count: webWorkers },
    [ruby.service]: { ...ruby.data, worker_count: 1 },
  };
  const totals = {
    web: { ...counters, worker_count: webWorkers },
    [ruby.service]: { requests_total: 7, worker_count: 1 },
  };
  const workers = [...web, ruby];
  return JSON.stringify([{ type: "utilization_monitor", data, stalled: {}, totals, workers }]);
}

/** The same where each worker of web times its requests. */
function timedAt(second: number): string {
  const [status] = JSON.parse(statusAt(second));
  const counts = (workers: number) => ({
    "request_duration_seconds_bucket_0.1": second * 9 * workers,
    request_duration_seconds_bucket_1: second * workers,
    request_duration_seconds_bucket_inf: 0,
    request_duration_seconds_sum: second * workers,
  });
  Object.assign(status.data.web, counts(3));
  Object.assign(status.totals.web, counts(3));
  for (const { service, data } of status.workers) {
    if (service === "web") Object.assign(data, counts(1));
  }
  return JSON.stringify([status]);
}

/** Frames of one second each. */
function framesOf(answers: readonly string[]): Frame[] {
  let snapshot = Snapshot.parse(answers[0]!);
  let now = 0;
  const reader = new FrameReader(
    {
      sample: () => snapshot.sample(),
      totals: () => snapshot.totals(),
      sampleByWorker: () => snapshot.sampleByWorker(),
      text: () => snapshot.text(),
    },
    () => now,
  );
  return answers.map((answer) => {
    snapshot = Snapshot.parse(answer);
    now += 1000;
    return reader.read();
  });
}

function stateAfter(seconds: number, webWorkers = 3): TopState {
  const state = new TopState();
  const answers = Array.from({ length: seconds }, (_, index) => statusAt(index + 1, webWorkers));
  for (const frame of framesOf(answers)) state.show(frame, NOON);
  return state;
}

function screenOf(state: TopState, columns: number, rows: number, scene: Scene = SCENE): string[] {
  return renderTop(state, scene, columns, rows).map((line) =>
    paint(line, columns, false).trimEnd(),
  );
}

function press(state: TopState, ...names: readonly string[]): void {
  for (const name of names) state.press({ name, sequence: name.length === 1 ? name : "" });
}

/** The first words of the rows of the table. */
function labels(screen: readonly string[]): string[] {
  return screen
    .map((line) => /^(?:›| ) +((?:[▾▸] )?(?:web|名前|pid \d+))/.exec(line)?.[1])
    .filter((label) => label !== undefined);
}

describe("the screen of top", () => {
  // Written anew with UPDATE_SCREENS=1.
  const screens: readonly [name: string, columns: number, rows: number, scene: Scene][] = [
    ["top_80x24", 80, 24, SCENE],
    ["top_120x40", 120, 40, SCENE],
    ["top_160x24", 160, 24, SCENE],
    ["top_40x14", 40, 14, SCENE],
    ["top_ascii_80x24", 80, 24, { ...SCENE, glyphs: PLAIN }],
  ];
  for (const [name, columns, rows, scene] of screens) {
    it(`is as recorded: ${name}`, () => {
      const text = `${screenOf(stateAfter(20), columns, rows, scene).join("\n")}\n`;
      const file = projectFile(`test/screens/${name}.txt`);
      if (process.env.UPDATE_SCREENS) writeFileSync(file, text);
      assert.equal(text, readFileSync(file, "utf8"));
    });
  }

  it("shows how long things take, and not the fields that hold it", () => {
    const state = new TopState();
    const answers = Array.from({ length: 20 }, (_, index) => timedAt(index + 1));
    for (const frame of framesOf(answers)) state.show(frame, NOON);
    assert.deepEqual(
      state.columns.map(({ title }) => title).filter((title) => title.includes("duration")),
      [
        "request_duration_seconds p50",
        "request_duration_seconds p99",
        "request_duration_seconds per second",
        "request_duration_seconds count",
      ],
    );
    const text = `${screenOf(state, 120, 24).join("\n")}\n`;
    const file = projectFile("test/screens/top_durations_120x24.txt");
    if (process.env.UPDATE_SCREENS) writeFileSync(file, text);
    assert.equal(text, readFileSync(file, "utf8"));

    // The same once more: nothing was observed meanwhile.
    for (const frame of framesOf([timedAt(20), timedAt(20)])) state.show(frame, NOON);
    assert.match(screenOf(state, 120, 24).join("\n"), /\n› ▾ web .*% +- +- /);
  });

  /** The second worker of web may leak, and the first two say something. */
  function troubledAt(second: number): string {
    const [monitor] = JSON.parse(statusAt(second));
    monitor.text = { web: { version: "1.2.4", state: "draining\u001b[2J" } };
    monitor.leaking = { web: { requests_active: 2 } };
    const [first, second_] = monitor.workers;
    first.text = { version: "1.2.3" };
    first.leaking = { requests_active: 12 };
    second_.text = { version: "1.2.4", state: "draining\u001b[2J" };
    return JSON.stringify([monitor]);
  }

  function troubled(): TopState {
    const state = new TopState();
    for (const frame of framesOf([troubledAt(9), troubledAt(10)])) state.show(frame, NOON);
    return state;
  }

  it("names who may leak below who is stalled", () => {
    const screen = screenOf(troubled(), 120, 24);
    assert.equal(screen[2], "1 stalled: web pid 4002 for 5s");
    assert.equal(screen[3], "1 leaking: web pid 4001 requests_active >= 12");
    assert.equal(screen.length, 24);
    const state = troubled();
    state.filter = "leaking";
    assert.deepEqual(labels(screenOf(state, 120, 24)), ["▾ web", "pid 4001"]);
  });

  it("has what workers say in the last columns, in the chart, and in the filter", () => {
    const state = troubled();
    press(state, ...Array(20).fill("right"));
    let screen = screenOf(state, 120, 24);
    const textsOf = (label: string): string[] =>
      screen
        .slice(4)
        .find((line) => line.includes(label))!
        .split(/\s+/)
        .slice(-2);
    assert.deepEqual(textsOf("▾ web"), ["1.2.4", "draining\ufffd[2J"]);
    assert.equal(textsOf("pid 4001").at(-1), "1.2.3");
    assert.equal(screen.at(-3), "web  version 1.2.4, state draining\ufffd[2J");
    press(state, "s");
    screen = screenOf(state, 120, 24);
    assert.deepEqual(labels(screen).slice(0, 4), ["▾ web", "pid 4002", "pid 4001", "pid 4003"]);
    state.filter = "1.2.3";
    assert.deepEqual(labels(screenOf(state, 120, 24)), ["▾ web", "pid 4001"]);
    for (const columns of [1, 20, 60, 80, 132]) {
      for (const line of renderTop(troubled(), SCENE, columns, 24)) {
        const text = paint(line, columns, false);
        assert.ok(widthOf(text) <= columns, text);
        assert.doesNotMatch(text, /\p{Cc}/u);
      }
    }
  });

  it("fits every size, and obeys nothing that a name says", () => {
    for (const workers of [1, 3, 200]) {
      const state = stateAfter(8, workers);
      for (const columns of [1, 7, 20, 39, 59, 60, 79, 80, 99, 100, 132, 300]) {
        for (const rows of [1, 5, 6, 11, 24, 60]) {
          for (const line of renderTop(state, SCENE, columns, rows)) {
            const text = paint(line, columns, false);
            assert.ok(widthOf(text) <= columns, text);
            assert.doesNotMatch(text, /\p{Cc}/u);
          }
        }
      }
    }
  });

  it("fills the screen, with the keys in its last line, wherever there is room", () => {
    for (const rows of [7, 10, 14, 24, 28, 40, 60]) {
      const screen = screenOf(stateAfter(8, 200), 80, rows);
      assert.equal(screen.length, rows);
      assert.match(screen.at(-1)!, /^q quit {2}\? help/);
    }
  });

  it("tells how many columns and rows are hidden, and moves through all of them", () => {
    const state = stateAfter(3, 200);
    const hidden = (): number => Number(/(\d+) more column/.exec(screenOf(state, 80, 24)[1]!)?.[1]);
    const heading = (): string => screenOf(state, 80, 24).slice(3, 5).join("\n");
    assert.ok(hidden() > 0);
    assert.doesNotMatch(heading(), /total/);
    press(state, ...Array(20).fill("right"));
    assert.match(heading(), /total/);
    assert.ok(hidden() > 0);
    press(state, ...Array(20).fill("left"));
    assert.doesNotMatch(heading(), /total/);
    press(state, "e");
    assert.match(screenOf(state, 80, 24)[1]!, /rows 1-16\/203/);
    press(state, "end");
    assert.match(screenOf(state, 80, 24)[1]!, /rows 188-203\/203/);
    press(state, "pageup");
    assert.match(screenOf(state, 80, 24)[1]!, /rows 188-203\/203/);
    press(state, "pageup");
    assert.match(screenOf(state, 80, 24)[1]!, /rows 173-188\/203/);
    assert.doesNotMatch(screenOf(state, 300, 24)[1]!, /column/);
  });

  it("names who is stalled, also where that row is not to be seen", () => {
    const state = stateAfter(20, 200);
    const screen = screenOf(state, 80, 24);
    assert.deepEqual(labels(screen), ["▸ web", "▸ 名前"]);
    assert.equal(screen[2], "1 stalled: web pid 4002 for 15s");
    press(state, "/", "s", "t", "a", "l", "l", "return");
    assert.deepEqual(labels(screenOf(state, 80, 24)), ["▸ web", "pid 4002"]);
  });

  it("has no rate in its first frame, and none below zero", () => {
    const [first] = framesOf([statusAt(5)]);
    const state = new TopState();
    state.show(first!, NOON);
    assert.match(screenOf(state, 120, 24)[5]!, /web .* - /);
    // Another supervisor, where everybody began anew.
    const frames = framesOf([statusAt(5), statusAt(6), statusAt(1), statusAt(2)]);
    const rates = frames.map(({ services }) => services[0]!.rates.get("requests_total"));
    assert.deepEqual(rates, [undefined, 33, undefined, 33]);
  });

  it("says that its values are old, and dims them", () => {
    const state = stateAfter(3);
    state.failure = "No supervisor listens.";
    const lines = renderTop(state, SCENE, 80, 24);
    assert.match(
      paint(lines[1]!, 80, false),
      /^No supervisor listens\. Last values of 12:00:00, trying again\. {2}5 more/,
    );
    const styles = new Set(lines.slice(2, -1).flatMap((line) => line.map(({ style }) => style)));
    assert.deepEqual(styles, new Set(["dim", "selected"]));
  });
});

describe("the keys of top", () => {
  it("sort by the chosen column: most first, least first, as they came", () => {
    const state = stateAfter(3);
    // The sums of requests_total.
    press(state, ...Array(20).fill("right"), "left");
    assert.equal(state.chosen?.key, "value requests_total");
    press(state, "s");
    assert.deepEqual(labels(screenOf(state, 80, 24)), [
      ...["▾ web", "pid 4003", "pid 4002", "pid 4001", "▾ 名前", "pid 5001"],
    ]);
    press(state, "s");
    assert.deepEqual(labels(screenOf(state, 80, 24)), [
      ...["▾ 名前", "pid 5001", "▾ web", "pid 4001", "pid 4002", "pid 4003"],
    ]);
    press(state, "s");
    assert.equal(state.order, null);
  });

  it("put who has nothing in the column last, in either order", () => {
    const state = stateAfter(3);
    assert.equal(state.chosen?.key, "value event_loop_utilization");
    for (const _ of ["most", "least"]) {
      press(state, "s");
      assert.deepEqual(labels(screenOf(state, 80, 24)).at(-1), "pid 5001");
    }
  });

  it("keep the cursor on its worker when the order changes", () => {
    const state = stateAfter(3);
    screenOf(state, 80, 24);
    press(state, "right", "s", "down", "down");
    const before = screenOf(state, 80, 24).find((line) => line.startsWith("›"))!;
    const frames = framesOf([statusAt(4), statusAt(5), statusAt(6)]);
    for (const frame of frames) {
      state.show(frame, NOON);
      const now = screenOf(state, 80, 24).find((line) => line.startsWith("›"))!;
      assert.equal(now.slice(0, 20), before.slice(0, 20));
    }
  });

  it("filter by text as it is typed, and forget it", () => {
    const state = stateAfter(3);
    screenOf(state, 80, 24);
    press(state, "/", "4", "0", "0", "3");
    assert.deepEqual(labels(screenOf(state, 80, 24)), ["▾ web", "pid 4003"]);
    press(state, "backspace", "9");
    assert.match(screenOf(state, 80, 24)[5]!, /Nothing has "4009"\./);
    // Letters are text here.
    press(state, "q");
    assert.match(screenOf(state, 80, 24).at(-1)!, /^\/4009q/);
    press(state, "escape");
    assert.equal(labels(screenOf(state, 80, 24)).length, 6);
  });

  it("quit, suspend and help", () => {
    const state = stateAfter(3);
    assert.equal(state.press({ name: "c", ctrl: true, sequence: "\u0003" }), "quit");
    assert.equal(state.press({ name: "z", ctrl: true, sequence: "\u001a" }), "suspend");
    press(state, "?");
    assert.match(screenOf(state, 80, 24).join("\n"), /move between rows/);
    assert.equal(state.press({ name: "q", sequence: "q" }), null);
    assert.equal(state.press({ name: "q", sequence: "q" }), "quit");
  });
});

describe("Snapshot", () => {
  it("knows the parts of a histogram of a supervisor that tells no totals", () => {
    const [{ totals: _, ...status }] = JSON.parse(timedAt(5));
    const snapshot = Snapshot.parse(JSON.stringify([status]));
    assert.deepEqual(
      Object.keys(snapshot.totals().web!).filter((name) => name.startsWith("request_duration")),
      Object.keys(status.data.web).filter((name) => name.startsWith("request_duration")),
    );
  });

  it("keeps all digits, and takes what a Ruby supervisor has to say", () => {
    const big = "123456789012345678901";
    const snapshot = Snapshot.parse(
      `[{"type":"other","data":{"1":{"rss":1}}},{"type":"utilization_monitor","data":` +
        `{"we\\"b":{"requests_total":${big},"load":0.1234567890123456789,"bad":null,"worker_count":1}}}]`,
    );
    const { 'we"b': data } = snapshot.sample();
    assert.equal(data?.requests_total, BigInt(big));
    assert.equal(data?.load, 0.12345678901234568);
    assert.ok(Number.isNaN(data?.bad));
    assert.deepEqual(Object.keys(snapshot.totals()['we"b']!), ["requests_total"]);
    assert.deepEqual(snapshot.sampleByWorker(), []);
    assert.throws(() => Snapshot.parse('[{"data":1}]'), /no utilization monitor/);
    assert.throws(() => Snapshot.parse("{}"), /no utilization monitor/);
  });
});

describe("numbers in seven characters", () => {
  it("have the unit of their field", () => {
    assert.equal(formatValue(12_345, "plain"), "12,345");
    assert.equal(formatValue(999_999, "plain"), "1.00M");
    assert.equal(formatValue(2n ** 64n, "plain"), "18.4E");
    assert.equal(formatValue(0.126, "plain"), "0.13");
    assert.equal(formatValue(-5, "plain"), "-5");
    assert.equal(formatValue(Number.NaN, "plain"), "?");
    assert.equal(formatValue(1023, "bytes"), "1023B");
    assert.equal(formatValue(1.5 * 2 ** 20, "bytes"), "1.50MiB");
    assert.equal(formatValue(0.000_25, "seconds"), "250us");
    assert.equal(formatValue(0.0115, "seconds"), "11.5ms");
    assert.equal(formatValue(90, "seconds"), "90s");
    assert.equal(formatValue(0.725, "share"), "72.5%");
    for (const unit of ["plain", "bytes", "seconds", "share"] as const) {
      for (let value = 1e-7; value < 1e21; value *= 1.7) {
        const text = formatValue(value, unit);
        assert.ok(text.length <= 8, text);
      }
    }
    assert.deepEqual([4.9, 61, 7200, 180_000].map(formatDuration), ["4s", "1m", "2h", "2d"]);
  });
});

describe("bars()", () => {
  it("draw shares of the highest, over several lines, and nothing where nothing is known", () => {
    const { levels } = UNICODE;
    assert.deepEqual(bars([Number.NaN, 0, 4, 8], 1, levels, 8), [" ▁▄█"]);
    assert.deepEqual(bars([0, 4, 6, 8], 2, levels, 8), ["  ▄█", "▁███"]);
    assert.deepEqual(bars([0, 0], 1, PLAIN.levels, 0), ["__"]);
  });
});

describe("widthOf()", () => {
  it("counts cells: two for wide characters, none for combining ones", () => {
    assert.equal(widthOf("abc"), 3);
    assert.equal(widthOf("名前"), 4);
    assert.equal(widthOf("e\u0301"), 1);
    assert.equal(widthOf("🦀"), 2);
    assert.equal(cut("名前", 3), "名");
    assert.equal(shorten("abcdef", 4), "abc…");
    assert.equal(shortenStart("/run/app.ipc", 8), "…app.ipc");
  });
});

describe("glyphsOf()", () => {
  it("follows the first variable of the locale that is set", () => {
    assert.equal(glyphsOf({ LANG: "de_DE.UTF-8" }), UNICODE);
    assert.equal(glyphsOf({ LC_ALL: "C", LANG: "de_DE.UTF-8" }), PLAIN);
    assert.equal(glyphsOf({ LC_ALL: "", LC_CTYPE: "C.utf8" }), UNICODE);
    assert.equal(glyphsOf({}), PLAIN);
    assert.equal(PLAIN.text("a\u001bé"), "a??");
  });
});
