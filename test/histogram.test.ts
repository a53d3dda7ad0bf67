// Histograms of a process: how they are declared, and what they count.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Histogram } from "../host/histogram.ts";
import { boundText } from "../host/histogram_definition.ts";
import { Observer } from "../host/observer.ts";
import { Registry } from "../host/registry.ts";
import { Schema, type SchemaDefinition } from "../host/schema.ts";
import { temporaryFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";

const SMALL = { type: "histogram", buckets: [0.1, 1] } as const;

function makeRegistry(definition: SchemaDefinition = { seconds: SMALL }) {
  const log = new CollectingLogger();
  const registry: Registry = new Registry(Schema.build(definition) as Schema, { log });
  return { registry, log, seconds: registry.histogram("seconds") };
}

function countsOf(registry: Registry, histogram: Histogram): number[] {
  const names = [...histogram.buckets.map(boundText), "inf"];
  return names.map((le) => registry.metric(`${histogram.name}_bucket_${le}`).value);
}

describe("Schema.build() of a histogram", () => {
  it("makes a counter for each bucket, and one for the sum", () => {
    const schema = Schema.build({
      requests_active: "u32",
      seconds: { ...SMALL, unit: "seconds", help: "How long." },
      busy: "u8",
    });
    const of = { kind: "counter", histogram: "seconds" } as const;
    assert.deepEqual(schema.toRows(), [
      ["requests_active", "u32", 0],
      ["seconds_bucket_0.1", "u64", 8, { ...of, le: "0.1" }],
      ["seconds_bucket_1", "u64", 16, { ...of, le: "1" }],
      ["seconds_bucket_inf", "u64", 24, { ...of, le: "+Inf" }],
      [
        "seconds_sum",
        "f64",
        32,
        { kind: "counter", unit: "seconds", help: "How long.", histogram: "seconds" },
      ],
      ["busy", "U8", 40],
    ]);
    assert.equal(schema.heartbeatOffset, 44);
  });

  it("has the buckets of prom-client unless told otherwise", () => {
    const schema = Schema.build({ seconds: "histogram" });
    const bounds = schema.fields.map(({ le }) => le);
    const expected = "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf".split(" ");
    assert.deepEqual(bounds, [...expected, undefined]);
  });

  const bad: readonly [unknown, RegExp][] = [
    [{ buckets: [] }, /Cannot build histogram "x": it has 0 buckets, 1 to 64 are allowed/],
    [{ buckets: Array.from({ length: 65 }, (_, i) => i) }, /it has 65 buckets/],
    [{ buckets: [1, 1] }, /the bounds do not ascend: 1 after 1/],
    [{ buckets: [2, 1] }, /the bounds do not ascend: 1 after 2/],
    [{ buckets: [1, Number.POSITIVE_INFINITY] }, /the bound Infinity is below 0, or not finite/],
    [{ buckets: [Number.NaN] }, /the bound NaN is/],
    [{ buckets: [-1, 1] }, /the bound -1 is below 0/],
    [{ buckets: ["1"] }, /the bound is not a number: "1"/],
    [{ buckets: 5 }, /the buckets are no array: 5/],
    [{ bucket: [1] }, /unknown option "bucket"/],
    [{ unit: 5 }, /the unit is not a string: 5/],
  ];
  for (const [options, message] of bad) {
    it(`refuses ${JSON.stringify(options).slice(0, 40)}`, () => {
      const definition = { x: { type: "histogram", ...(options as object) } } as SchemaDefinition;
      assert.throws(() => Schema.build(definition), message);
    });
  }

  it("refuses names that are taken, or none", () => {
    const h = "histogram" as const;
    assert.throws(() => Schema.build({ "": h }), /the name is empty/);
    assert.throws(() => Schema.build({ a_sum: "u64", a: h }), /"a_sum": the name is taken/);
    assert.throws(() => Schema.build({ a: h, a_sum: "u64" }), /"a_sum": the name is taken/);
    assert.throws(() => Schema.build({ ["x".repeat(250)]: h }), /the name is \d+ bytes long/);
    const schema = Schema.build({ a: h, b: "u64" });
    assert.throws(() => schema.with("a", "u64"), /"a": the name is taken/);
    assert.throws(() => schema.with("a", h), /"a": the name is taken/);
    assert.throws(() => schema.with("b", h), /"b": the name is taken/);
  });

  it("gives no metric of that name, as far as the compiler knows", () => {
    const { metrics } = new Registry(Schema.build({ seconds: SMALL, requests_total: "u64" }));
    assert.equal(metrics.requests_total.value, 0);
    // @ts-expect-error: it is a histogram.
    assert.equal(metrics.seconds, undefined);
  });
});

it("boundText() writes as Prometheus does", () => {
  const texts = [0, 0.0001, 0.00001, 1.5e-7, 0.25, 1, 10, 123_456, 999_999.5, 1e6, 1_234_567, 1e21];
  assert.deepEqual(texts.map(boundText), [
    "0",
    "0.0001",
    "1e-05",
    "1.5e-07",
    "0.25",
    "1",
    "10",
    "123456",
    "999999.5",
    "1e+06",
    "1.234567e+06",
    "1e+21",
  ]);
  assert.equal(boundText(Number.POSITIVE_INFINITY), "+Inf");
});

describe("Histogram", () => {
  it("counts in the first bucket whose bound is not below the value", () => {
    const { registry, seconds } = makeRegistry();
    for (const value of [0, 0.05, 0.1, 0.100001, 1, 1.5, 1e300]) seconds.observe(value);
    assert.deepEqual(countsOf(registry, seconds), [3, 2, 2]);
    assert.equal(seconds.count, 7);
    assert.equal(seconds.sum, 0 + 0.05 + 0.1 + 0.100001 + 1 + 1.5 + 1e300);
    assert.deepEqual(seconds.buckets, [0.1, 1]);
  });

  it("finds the bucket among many as a plain search does", () => {
    for (const count of [1, 2, 11, 12, 13, 63, 64]) {
      const buckets = Array.from({ length: count }, (_, index) => index + 1);
      const { registry, seconds } = makeRegistry({ seconds: { type: "histogram", buckets } });
      const values = buckets.flatMap((bound) => [bound - 0.5, bound]);
      for (const value of [...values, count + 1]) seconds.observe(value);
      assert.deepEqual(countsOf(registry, seconds), [...buckets.map(() => 2), 1]);
    }
  });

  it("ignores what is no number, not finite or below 0, and says so once", () => {
    const { registry, log, seconds } = makeRegistry();
    for (const value of [Number.NaN, -1, Number.POSITIVE_INFINITY, -0.001]) seconds.observe(value);
    for (const value of ["1", undefined, 1n, null]) seconds.observe(value as unknown as number);
    assert.deepEqual(countsOf(registry, seconds), [0, 0, 0]);
    assert.equal(seconds.sum, 0);
    assert.deepEqual(log.lines, ['Histogram "seconds" ignored NaN']);
    seconds.observe(-0);
    assert.deepEqual(countsOf(registry, seconds), [1, 0, 0]);
  });

  it("times what returns, throws, and settles", async () => {
    const { seconds } = makeRegistry();
    assert.equal(
      seconds.time(() => 5),
      5,
    );
    assert.throws(
      () =>
        seconds.time(() => {
          throw new Error("no");
        }),
      /no/,
    );
    assert.equal(seconds.count, 2);
    const before = seconds.sum;
    const slow = seconds.time(async () => {
      await sleep(50);
      return "slow";
    });
    assert.equal(seconds.count, 2);
    assert.equal(await slow, "slow");
    assert.equal(seconds.count, 3);
    assert.ok(seconds.sum - before > 0.045 && seconds.sum - before < 30);
    await assert.rejects(
      seconds.time(() => Promise.reject(new Error("later"))),
      /later/,
    );
    assert.equal(seconds.count, 4);
  });
});

describe("Registry.histogram()", () => {
  it("gives the declared one, whatever its rows came from", () => {
    const { registry, seconds } = makeRegistry();
    assert.equal(registry.histogram("seconds"), seconds);
    assert.equal(registry.histogram("seconds", { buckets: [0.1, 1] }), seconds);
    assert.throws(
      () => registry.histogram("seconds", { buckets: [0.1, 2] }),
      /Cannot use histogram "seconds" with buckets 0.1,2: it has 0.1,1/,
    );
    assert.throws(
      () => registry.histogram("seconds", { bucket: [0.1, 1] } as object),
      /Cannot build histogram "seconds": unknown option "bucket"/,
    );
    const { registry: http } = makeRegistry({ http_seconds: SMALL });
    assert.equal(http.namespace("http").histogram("seconds"), http.histogram("http_seconds"));
    const again = new Registry(Schema.fromRows(registry.schema.toRows()));
    again.histogram("seconds").observe(0.5);
    assert.equal(again.metric("seconds_bucket_1").value, 1);
  });

  it("adds one behind all fields, at once", () => {
    const { registry } = makeRegistry({ busy: "u8" });
    let growths = 0;
    registry.onGrowth = () => growths++;
    const before = registry.schema;
    const seconds = registry.histogram("more", { buckets: [1, 2], unit: "seconds" });
    assert.equal(growths, 1);
    assert.equal(registry.schema.heartbeatOffset, before.heartbeatOffset);
    assert.equal(registry.histogram("more"), seconds);
    assert.equal(growths, 1);
    assert.throws(() => registry.histogram("busy"), /"busy": the name is taken/);
    assert.throws(() => registry.histogram("x", { buckets: [] }), /it has 0 buckets/);
    assert.equal(growths, 1);
    seconds.observe(1.5);
    assert.deepEqual(countsOf(registry, seconds), [0, 1, 0]);
  });

  it("is in a segment as a whole, or not at all", () => {
    const log = new CollectingLogger();
    const registry: Registry = new Registry(Schema.build({ busy: "u8" }) as Schema, { log });
    const seconds = registry.histogram("seconds", { buckets: [1, 2] });
    registry.add("after_total", "u64").increment();
    seconds.observe(1);
    const names = () => registry.schema.fields.map(({ name }) => name);
    const [first, ...rest] = names();
    assert.equal(first, "busy");
    // The sum would be beyond.
    registry.fit(32);
    assert.deepEqual(names(), ["busy"]);
    seconds.observe(1);
    registry.fit(40);
    assert.deepEqual(names(), ["busy", ...rest.slice(0, 4)]);
    registry.fit(48);
    assert.deepEqual(names(), ["busy", ...rest]);
    assert.equal(seconds.count, 2);
    assert.deepEqual(log.lines, [
      'No room for metric "seconds" and 1 more: a segment has 32 bytes, 48 are needed (--segment-size)',
    ]);
  });

  it("takes its values along into a segment, and back", (t) => {
    const { registry, seconds } = makeRegistry();
    seconds.observe(0.5);
    const path = join(temporaryFolder(t), "file");
    writeFileSync(path, new Uint8Array(512));
    const observer = Observer.open({ path, size: 512, offset: 0, schema: registry.schema });
    registry.attach(observer);
    seconds.observe(5);
    assert.deepEqual(countsOf(registry, seconds), [0, 1, 1]);
    registry.attach(null);
    seconds.observe(0.05);
    assert.deepEqual(countsOf(registry, seconds), [1, 1, 1]);
    assert.equal(seconds.sum, 5.55);
    observer.close();
  });
});
