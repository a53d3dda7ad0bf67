import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Field } from "../host/field.ts";
import { histogramsNamed, histogramsOf, partNames } from "../host/histogram_parts.ts";
import { parseRows, type Row, Schema } from "../host/schema.ts";

function fieldsOf(rows: readonly Row[]): Map<string, Field> {
  const { fields, rejected } = parseRows(rows, 4096)!;
  assert.deepEqual(rejected, []);
  return new Map(fields.map((field) => [field.name, field]));
}

describe("histogramsOf()", () => {
  it("finds what Schema.build has declared", () => {
    const schema = Schema.build({
      requests_total: "u64",
      seconds: { type: "histogram", buckets: [0.5, 2], unit: "seconds", help: "How long." },
    });
    const histograms = histogramsOf(fieldsOf(schema.toRows()));
    assert.deepEqual(
      [...histograms.values()],
      [
        {
          name: "seconds",
          buckets: [
            { bound: 0.5, fields: ["seconds_bucket_0.5"] },
            { bound: 2, fields: ["seconds_bucket_2"] },
            { bound: Number.POSITIVE_INFINITY, fields: ["seconds_bucket_inf"] },
          ],
          sum: "seconds_sum",
          unit: "seconds",
          help: "How long.",
        },
      ],
    );
  });

  it("takes parts in any order, of any name, and a bound that is written twice", () => {
    const part = (name: string, offset: number, le?: string): Row => [
      name,
      "u64",
      offset,
      { kind: "counter", histogram: "h", ...(le !== undefined && { le }) },
    ];
    const histogram = histogramsOf(
      fieldsOf([
        part("c", 0, "+Inf"),
        part("b", 8, "1"),
        part("a", 16, "0.5"),
        part("d", 24, "1.0"),
      ]),
    ).get("h")!;
    assert.deepEqual(histogram.buckets, [
      { bound: 0.5, fields: ["a"] },
      { bound: 1, fields: ["b", "d"] },
      { bound: Number.POSITIVE_INFINITY, fields: ["c"] },
    ]);
    assert.equal(histogram.sum, null);
    assert.deepEqual(partNames(histogram), ["a", "b", "d", "c"]);
  });

  it("makes none of a sum alone, of gauges, or of what is no part", () => {
    assert.equal(histogramsOf(new Map()).size, 0);
    const sum: Row = ["h_sum", "f64", 0, { kind: "counter", histogram: "h" }];
    assert.equal(histogramsOf(fieldsOf([sum, ["x_bucket_inf", "u64", 8]])).size, 0);
    const part: Row = ["a", "u64", 0, { kind: "counter", histogram: "h", le: "1" }];
    const fields = fieldsOf([part]);
    assert.equal(histogramsOf(fields).size, 1);
    // As it is where another worker declares it so.
    const gauge = { ...fields.get("a")!, kind: "gauge" as const };
    assert.equal(histogramsOf(new Map([["a", gauge]])).size, 0);
  });
});

describe("histogramsNamed()", () => {
  it("finds by their names what Schema.build has declared", () => {
    const schema = Schema.build({
      a_bucket_b: { type: "histogram", buckets: [1e-7, 1, 1e6] },
      a: "histogram",
      requests_total: "u64",
    });
    const fields = new Map(schema.fields.map((field) => [field.name as string, field as Field]));
    const declared = [...histogramsOf(fields).values()];
    const named = [...histogramsNamed(fields.keys()).values()];
    assert.deepEqual(named, declared);
  });

  it("makes none of names that only look like it", () => {
    for (const names of [
      ["x_bucket_1", "x_sum"],
      ["x_bucket_inf"],
      ["_bucket_inf", "_sum"],
      ["bucket_inf", "sum"],
      [],
    ]) {
      assert.equal(histogramsNamed(names).size, 0, names.join());
    }
    const [only] = histogramsNamed(["x_bucket_inf", "x_bucket_small", "x_sum"]).values();
    assert.deepEqual(partNames(only!), ["x_bucket_inf", "x_sum"]);
  });
});
