// What workers say of themselves: fields of text.
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { GROUP_BYTES, GROUP_WORDS } from "../assembly/layout.ts";
import { symbol } from "../host/bus/values.ts";
import { Inspection } from "../host/inspection.ts";
import { Observer } from "../host/observer.ts";
import { Registry } from "../host/registry.ts";
import { parseRows, rowsAre, Schema, type SchemaDefinition } from "../host/schema.ts";
import { readText, Text } from "../host/text.ts";
import { isTextType, type TextType } from "../host/text_field.ts";
import { UtilizationMonitor } from "../host/utilization_monitor.ts";
import { rowsFromWire, rowsToWire } from "../host/wire.ts";
import type { Row } from "./reference.ts";
import { afterTest, type Test } from "./support/after_test.ts";
import { AUTO_URL, notNode, startApplication } from "./support/auto.ts";
import { temporaryFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";
import { unmapped } from "./support/mapping.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";
import { FakeWorker } from "./support/workers.ts";

const LIMIT = { timeout: 60_000 };
const SCHEMA = { version: "str8", requests_total: "u64", state: "str16" } as const;

function makeText(size: number, log = new CollectingLogger()): Text {
  return new Text({ name: "state", type: `str${size}`, offset: 0 }, log);
}

describe("Schema.build() with texts", () => {
  it("puts them behind all numbers and the heartbeat", () => {
    const schema = Schema.build({
      version: "str5",
      requests_total: "u64",
      state: { type: "str256", help: "What it does" },
      busy: "u8",
    });
    assert.deepEqual(
      schema.fields.map(({ name, offset }) => [name, offset]),
      [
        ["requests_total", 0],
        ["busy", 8],
      ],
    );
    assert.equal(schema.heartbeatOffset, 12);
    assert.deepEqual(schema.texts, [
      { name: "version", type: "str5", offset: 16 },
      { name: "state", type: "str256", offset: 21, help: "What it does" },
    ]);
    assert.equal(schema.size, 277);
    const rows = JSON.parse(JSON.stringify(schema.toRows()));
    assert.deepEqual(rows.slice(2), [
      ["version", "str5", 16],
      ["state", "str256", 21, { help: "What it does" }],
    ]);
    const { fields, texts } = schema;
    assert.deepEqual(parseRows(rows, 512), { fields, texts, rejected: [] });
    assert.equal(rowsAre(rows, schema), true);
    for (const change of [
      ["version", "str5", 17],
      ["version", "str6", 16],
      ["x", "str5", 16],
      ["version", "str5", 16, { help: "" }],
      ["version", "str5", 16, { kind: "gauge" }],
      null,
    ]) {
      assert.equal(rowsAre(rows.with(2, change), schema), false, JSON.stringify(change));
    }
    assert.deepEqual(Schema.fromRows(rows).texts, schema.texts);
  });

  it("takes texts alone, and 1 to 256 bytes", () => {
    assert.equal(Schema.build({ a: "str1" }).size, 5);
    const types = ["str1", "str99", "str256"];
    assert.ok(types.every(isTextType));
    for (const other of [
      "str0",
      "str257",
      "str1000",
      "str01",
      "str",
      "str-1",
      "str1.5",
      "STR8",
      "str8 ",
      8,
      null,
    ]) {
      assert.equal(isTextType(other), false, String(other));
    }
  });

  const MISTAKES: readonly (readonly [string, unknown, RegExp])[] = [
    [
      "a size that none has",
      { a: "str257" },
      /unknown type "str257": not one of .*str1 to str256$/,
    ],
    ["a kind", { a: { type: "str8", kind: "gauge" } }, /"a": a text has no kind: "gauge"$/],
    [
      "an aggregate",
      { a: { type: "str8", aggregate: "last" } },
      /a text has no aggregate: "last"$/,
    ],
    ["a unit", { a: { type: "str8", unit: "s" } }, /a text has no unit: "s"$/],
    ["a counter", { a: { type: "str8", counter: "b" } }, /a text has no counter: "b"$/],
    ["a histogram", { a: { type: "str8", histogram: "b" } }, /a text has no histogram: "b"$/],
    ["a bound", { a: { type: "str8", le: "1" } }, /a text has no le: "1"$/],
    ["an option that nothing has", { a: { type: "str8", color: "red" } }, /unknown option "color"/],
    ["a help that is none", { a: { type: "str8", help: 1 } }, /the help is not a string: 1$/],
    ["a reserved name", { worker_count: "str8" }, /the name is reserved/],
    [
      "too many",
      Object.fromEntries(Array.from({ length: 4097 }, (_, i) => [`a${i}`, "str1"])),
      /of 4097 fields: 1 to 4096/,
    ],
  ];
  for (const [what, definition, message] of MISTAKES) {
    it(`refuses ${what}`, () => {
      assert.throws(() => Schema.build(definition as SchemaDefinition), message);
    });
  }

  it("refuses a name that is taken", () => {
    const schema = Schema.build(SCHEMA);
    for (const name of ["version", "requests_total"]) {
      assert.throws(() => schema.with(name, "u8"), /the name is taken/);
      assert.throws(() => schema.withText(name, "str8"), /the name is taken/);
    }
    assert.throws(() => schema.withText("a", "str0" as TextType), /unknown type "str0"/);
  });
});

describe("rows of texts", () => {
  it("are dropped with a reason where they are not in order, and the others are kept", () => {
    const parsed = parseRows(
      [
        ["a", "u64", 0],
        ["b", "str60", 8],
        ["c", "str8", 8, { kind: "gauge" }],
        ["d", "str999", 8],
        ["e", "str8", 8, { color: "red", help: "eight" }],
      ],
      64,
    )!;
    assert.deepEqual(
      parsed.fields.map(({ name }) => name),
      ["a"],
    );
    assert.deepEqual(parsed.texts, [{ name: "e", type: "str8", offset: 8, help: "eight" }]);
    assert.deepEqual(
      parsed.rejected.map(({ name, reason }) => `${name}: ${reason}`.replace(/not one of.*/, "…")),
      [
        "b: it ends at byte 68, the segment at 64",
        'c: a text has no kind: "gauge"',
        'd: unknown type "str999": …',
      ],
    );
  });

  it("take the place of numbers of their name, and the other way round", () => {
    const rows = [
      ["a", "u64", 0],
      ["b", "str8", 8],
      ["a", "str4", 16],
      ["b", "U8", 24],
    ];
    const { fields, texts } = parseRows(rows, 64)!;
    assert.deepEqual(
      fields.map(({ name, type }) => [name, type]),
      [["b", "U8"]],
    );
    assert.deepEqual(texts, [{ name: "a", type: "str4", offset: 16 }]);
  });

  it("go over the wire with a type that Ruby drops in silence", () => {
    const rows = Schema.build(SCHEMA).toRows();
    const wire = rowsToWire(rows);
    assert.deepEqual(wire, [
      [symbol("requests_total"), symbol("u64"), 0],
      [symbol("version"), "str8", 12],
      [symbol("state"), "str16", 20],
    ]);
    assert.deepEqual(rowsFromWire(wire), rows);
    assert.deepEqual(
      rowsFromWire([
        ["a", symbol("str8"), 0],
        ["b", "u64", 8],
      ]),
      [
        ["a", "str8", 0],
        ["b", null, 8],
      ],
    );
    // A supervisor that knows no texts takes Symbols alone for types: the others are kept.
    const known = (rowsFromWire(wire) as Row[]).map(([name, type, offset]) => {
      return [name, isTextType(type) ? null : type, offset];
    });
    const { fields, rejected } = parseRows(known, 512)!;
    assert.deepEqual(
      fields.map(({ name }) => name),
      ["requests_total"],
    );
    assert.deepEqual(
      rejected.map(({ name, reason }) => [name, reason.slice(0, 17)]),
      [
        ["version", "unknown type null"],
        ["state", "unknown type null"],
      ],
    );
  });
});

describe("Text", () => {
  it("holds whole characters, and says once that it was cut", () => {
    const log = new CollectingLogger();
    const text = makeText(6, log);
    assert.equal(text.value, "");
    for (const [value, expected] of [
      ["abcdef", "abcdef"],
      ["abc", "abc"],
      ["", ""],
      ["größer", "größ"],
      ["aaaa€", "aaaa"],
      ["aaa€", "aaa€"],
      ["aaa😀", "aaa"],
      ["aa😀", "aa😀"],
      ["\ud800a", "\ufffda"],
      ["ab\0cd", "ab"],
      ["\0cd", ""],
    ] as const) {
      text.set(value);
      assert.equal(text.value, expected, value);
    }
    assert.deepEqual(log.entries, ['warn Text "state" was cut to 6 bytes, its limit']);
  });

  it("ignores what is no text, and says so once", () => {
    const log = new CollectingLogger();
    const text = makeText(8, log);
    text.set("a");
    for (const value of [1, null, undefined, {}]) text.set(value as unknown as string);
    assert.equal(text.value, "a");
    assert.deepEqual(log.entries, ['warn Text "state" ignored a value of type number']);
  });

  it("is read without what a terminal obeys, and whatever bytes there are", () => {
    for (const [bytes, expected] of [
      [[0, 97, 98], ""],
      [[97, 0, 98], "a"],
      [[0xff, 97, 0xc3], "\ufffda\ufffd"],
      [[0x1b, 0x5b, 0x41], "\ufffd[A"],
      [[0xe2, 0x80, 0xae], "\ufffd"],
      [[0xe2, 0x80, 0x8f], "\ufffd"],
      [[0xef, 0xbb, 0xbf], "\ufeff"],
      [[0xc2, 0x9b, 10], "\ufffd\ufffd"],
    ] as const) {
      assert.equal(readText(Uint8Array.from([1, ...bytes, 2]), 1, 3), expected);
    }
  });

  it("moves with its registry", (t) => {
    const path = join(temporaryFolder(t), "a.shm");
    writeFileSync(path, new Uint8Array(1024));
    const registry = new Registry(Schema.build(SCHEMA), { log: new CollectingLogger() });
    const { version, state } = registry.texts;
    const { requests_total } = registry.metrics;
    // @ts-expect-error It is no metric.
    assert.equal(registry.metrics.version, undefined);
    // @ts-expect-error Nor the other way round.
    assert.equal(registry.texts.requests_total, undefined);
    version.set("1.2.3");
    requests_total.increment();
    const observer = Observer.open({ path, size: 512, offset: 512, schema: registry.schema });
    registry.attach(observer);
    state.set("ready");
    observer.flush();
    const bytes = readFileSync(path);
    assert.equal(readText(bytes, 512 + 12, 8), "1.2.3");
    assert.equal(readText(bytes, 512 + 20, 16), "ready");
    assert.deepEqual([...bytes.subarray(512 + 25, 512 + 36)], Array(11).fill(0));
    registry.attach(null);
    observer.close();
    state.set("gone");
    assert.deepEqual([version.value, state.value], ["1.2.3", "gone"]);
    assert.equal(readText(readFileSync(path), 512 + 20, 16), "ready");
  });

  it("is added to a registry, and left out where there is no room", () => {
    const log = new CollectingLogger();
    const registry = new Registry(Schema.build({ requests_total: "u64" }), { log });
    const text = registry.addText("version", "str8");
    registry.add("busy", "u32");
    text.set("1.0");
    assert.deepEqual(registry.schema.toRows(), [
      ["requests_total", "u64", 0],
      ["busy", "u32", 20],
      ["version", "str8", 12],
    ]);
    registry.fit(16);
    assert.deepEqual(registry.schema.toRows(), [["requests_total", "u64", 0]]);
    assert.match(
      log.lines.join(),
      /^No room for metric "busy" and 1 more: a segment has 16 bytes, 24/,
    );
    assert.equal(text.value, "1.0");
    registry.fit(512);
    assert.equal(registry.schema.texts.length, 1);
  });
});

/** A worker of one counter and one text behind it. */
class SayingWorker extends FakeWorker {
  constructor(
    id: number,
    name: string,
    text: string,
    rows: readonly Row[] = [
      ["requests_total", "u64", 0],
      ["version", "str8", 16] as unknown as Row,
    ],
  ) {
    super(id, { name }, rows, new Uint8Array(24));
    this.bytes[0] = 1;
    this.say(text);
  }

  say(text: string): void {
    this.bytes.fill(0, 16);
    this.bytes.set(new TextEncoder().encode(text), 16);
    if (this.place !== null) this.write();
  }
}

function monitorOf(test: Test, options = {}): UtilizationMonitor {
  const log = new CollectingLogger();
  const monitor = new UtilizationMonitor({
    path: join(temporaryFolder(test), "a.shm"),
    log,
    ...options,
  });
  afterTest(test, () => monitor.close());
  return monitor;
}

function plain(value: object): unknown {
  return JSON.parse(JSON.stringify(value));
}

describe("a monitor", () => {
  it("tells texts per worker, and of each service the last one that says anything", async (t) => {
    const monitor = monitorOf(t);
    const workers = [
      new SayingWorker(1, "web", "1.0"),
      new SayingWorker(2, "web", "1.1"),
      new SayingWorker(3, "__proto__", "x\u001b[2J"),
      new SayingWorker(4, "web", ""),
      new SayingWorker(5, "silent", ""),
    ];
    for (const worker of workers) await monitor.register(worker);
    const text = { web: { version: "1.1" }, ["__proto__"]: { version: "x\ufffd[2J" } };
    assert.deepEqual(
      Object.entries(monitor.text()).map(([name, own]) => [name, own.version]),
      [
        ["web", "1.1"],
        ["__proto__", "x\ufffd[2J"],
      ],
    );
    assert.deepEqual(
      monitor.sampleByWorker().map(({ text: own }) => own?.version),
      ["1.0", "1.1", "x\ufffd[2J", undefined, undefined],
    );
    const json = monitor.statusText({ byWorker: true });
    assert.match(json, /"stalled":\{\},"text":\{"web":\{"version":"1\.1"\},/);
    const [first] = JSON.parse(json).workers;
    assert.deepEqual([first.text, first.data], [{ version: "1.0" }, { requests_total: 1 }]);
    assert.equal(JSON.parse(json).workers.filter((worker: object) => "text" in worker).length, 3);
    assert.deepEqual(Object.keys(monitor.status().text!), Object.keys(text));
    assert.deepEqual(plain(monitor.sample().web!), { requests_total: 3, worker_count: 3 });
    assert.deepEqual([...monitor.fields().get("web")!.keys()], ["requests_total"]);
    workers[3]!.say("2.0");
    assert.equal(monitor.text().web!.version, "2.0");
    monitor.remove(workers[3]!);
    monitor.remove(workers[2]!);
    assert.deepEqual(plain(monitor.text()), { web: { version: "1.1" } });
  });

  it("says nothing more of those that say nothing", async (t) => {
    const monitor = monitorOf(t);
    await monitor.register(new SayingWorker(1, "web", ""));
    assert.equal(
      monitor.statusText({ byWorker: true }),
      '{"type":"utilization_monitor","data":{"web":{"requests_total":1,"worker_count":1}},"stalled":{},' +
        '"workers":[{"id":1,"slot":0,"processId":null,"service":"web","mapping":"unknown","stalledFor":null,"data":{"requests_total":1}}]}',
    );
    assert.deepEqual(Object.keys(monitor.status()), ["type", "data", "stalled"]);
  });

  it("copies no text for a sample", async (t) => {
    const monitor = monitorOf(t);
    await monitor.register(new SayingWorker(1, "web", "1.0"));
    const { core } = monitor.allocator!;
    const words = core.int32[(core.exports.groups() + 0 * GROUP_BYTES + GROUP_WORDS) >>> 2];
    assert.equal(words, 1);
  });

  it("counts texts among the fields that it remembers, and forgets them with their workers", async (t) => {
    const log = new CollectingLogger();
    const monitor = monitorOf(t, { limits: { fields: 3 }, log });
    const workers = ["a", "b"].map((name, id) => new SayingWorker(id + 1, name, "1"));
    for (const worker of workers) await monitor.register(worker);
    assert.deepEqual(plain(monitor.text()), { a: { version: "1" } });
    assert.equal(monitor.limitsReached.fields, 1);
    assert.deepEqual(plain(monitor.sample()), {
      a: { requests_total: 1, worker_count: 1 },
      b: { requests_total: 1, worker_count: 1 },
    });
    for (const worker of workers) monitor.unregister(worker);
    // Its counter is kept for the totals; there is room for one text.
    await monitor.register(new SayingWorker(3, "a", "2"));
    assert.deepEqual(plain(monitor.text()), { a: { version: "2" } });
    assert.equal(monitor.limitsReached.fields, 1);
  });
});

it("texts outlive their supervisor", LIMIT, async (t) => {
  const scene = new Scene(t);
  const { socket, file: path } = scene;
  const first = scene.child("supervisor_process");
  await first.ask("listen", { socket, path });
  const worker = await scene.worker({ schema: SCHEMA });
  const says = (supervisor: typeof first, version: string) =>
    until(async () => {
      const text = await supervisor.ask<Record<string, Record<string, string>>>("text");
      return text.web?.version === version;
    }, `it is told "${version}"`);
  await worker.ask("say", { field: "version", texts: ["1.2.3"] });
  await says(first, "1.2.3");
  await first.kill();
  assert.ok(existsSync(path));
  const inspection = Inspection.open(path);
  assert.deepEqual(plain(inspection.text()), { web: { version: "1.2.3" } });
  assert.match(
    inspection.stringify({ byWorker: true }),
    /"text":\{"web":\{"version":"1\.2\.3"\}\},"totals"/,
  );
  assert.deepEqual(plain(inspection.sampleByWorker()[0]!.text!), { version: "1.2.3" });
  inspection.close();

  const second = scene.child("supervisor_process");
  await second.ask("listen", { socket, path });
  await says(second, "1.2.3");
  await worker.ask("say", { field: "version", texts: ["1.2.4"] });
  await says(second, "1.2.4");
});

it("no text is half of one and half of another", { ...LIMIT, skip: unmapped }, async (t) => {
  const scene = await Scene.supervised(t);
  const worker = await scene.registered({ schema: { state: "str256" } });
  const texts = ["a".repeat(256), "b".repeat(200), "ab"];
  const babbling = worker.ask("babble", { field: "state", texts, forMs: 1000 });
  let isOver = false;
  void babbling.then(() => {
    isOver = true;
  });
  const seen = new Set<string>();
  while (!isOver) {
    for (let read = 0; read < 1000; read++) seen.add(scene.monitor.text().web?.state ?? "");
    await new Promise(setImmediate);
  }
  await babbling;
  const others = [...seen].filter((text) => text !== "" && !texts.includes(text));
  assert.deepEqual(others, []);
  assert.ok(seen.size > 2, `${seen.size} texts were seen`);
});

it("an application says what it is without knowing its schema", {
  ...LIMIT,
  skip: notNode,
}, async (t) => {
  const scene = await Scene.supervised(t);
  const application = startApplication(scene);
  await scene.sees(application);
  const say = (name: string, value?: string) =>
    application.ask("text", { url: AUTO_URL, name, value });
  assert.equal(await say("version", "1.2.3"), "1.2.3");
  await until(() => scene.monitor.text().web?.version === "1.2.3", "its version is read");
  assert.equal(await say("version"), "1.2.3");
  // Nothing throws: it says so, and goes on alone.
  assert.equal(await say("requests_total", "a"), "a");
  assert.equal(await say("", "b"), "b");
  await scene.sees(application);
});
