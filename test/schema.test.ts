import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as layout from "../assembly/layout.ts";
import { FIELD_TYPES } from "../host/field_type.ts";
import { parseRows, type Row, Schema, sizeOf, typeCode } from "../host/schema.ts";

type Definition = Parameters<typeof Schema.build>[0];

describe("field types", () => {
  it("have the codes of the core", () => {
    assert.deepEqual(FIELD_TYPES.map(typeCode), [...Array(layout.TYPE_COUNT).keys()]);
    assert.equal(typeCode("u16"), layout.TYPE_U16_LE);
    assert.equal(typeCode("F64"), layout.TYPE_F64_BE);
  });

  it("have their sizes", () => {
    for (const type of FIELD_TYPES) assert.equal(sizeOf(type) * 8, Number(type.slice(1)));
  });
});

describe("Schema.build()", () => {
  it("aligns fields to their size, in the order of declaration", () => {
    const schema = Schema.build({ a: "U8", b: "u64", c: "u16", d: "f32", e: "S64", f: "S8" });
    assert.deepEqual(
      schema.fields.map(({ name, offset }) => [name, offset]),
      [
        ["a", 0],
        ["b", 8],
        ["c", 16],
        ["d", 20],
        ["e", 24],
        ["f", 32],
      ],
    );
    assert.equal(schema.size, 33);
  });

  it("resolves aliases", () => {
    const schema = Schema.build({ a: "u8", b: "i8", c: "i16", d: "i32", e: { type: "i64" } });
    assert.deepEqual(
      schema.fields.map(({ type }) => type),
      ["U8", "S8", "s16", "s32", "s64"],
    );
  });

  it("takes counters by name, gauges otherwise", () => {
    const { fields } = Schema.build({ a_total: "u64", b: "u64" });
    assert.deepEqual(
      fields.map(({ kind, aggregate, declared }) => ({ kind, aggregate, declared })),
      ["counter", "gauge"].map((kind) => ({
        kind,
        aggregate: "sum",
        declared: { kind: false, aggregate: false, unit: false },
      })),
    );
  });

  it("keeps what is declared", () => {
    const schema = Schema.build({
      seen: { type: "u32", kind: "counter", help: "Things seen" },
      memory: { type: "u64", aggregate: "max", unit: "bytes" },
      left_total: { type: "u64", kind: "gauge", aggregate: "min" },
    });
    assert.deepEqual(schema.field("seen"), {
      name: "seen",
      type: "u32",
      offset: 0,
      kind: "counter",
      aggregate: "sum",
      help: "Things seen",
      declared: { kind: true, aggregate: false, unit: false },
    });
    assert.deepEqual(schema.field("memory"), {
      name: "memory",
      type: "u64",
      offset: 8,
      kind: "gauge",
      aggregate: "max",
      unit: "bytes",
      declared: { kind: false, aggregate: true, unit: true },
    });
    assert.equal(schema.field("left_total")?.kind, "gauge");
    assert.equal(schema.field("missing"), undefined);
    assert.deepEqual(schema.toRows(), [
      ["seen", "u32", 0, { kind: "counter", help: "Things seen" }],
      ["memory", "u64", 8, { aggregate: "max", unit: "bytes" }],
      ["left_total", "u64", 16, { kind: "gauge", aggregate: "min" }],
    ]);
  });

  it("knows the names of its fields at compile time", () => {
    const schema = Schema.build({ a: "u64", b: { type: "u32" } });
    const name: "a" | "b" = schema.fields[0]!.name;
    assert.equal(name, "a");
    // @ts-expect-error: there is no such name.
    const other: "c" = schema.fields[0]!.name;
    assert.notEqual(other, "c");
  });

  const mistakes: [string, unknown, typeof TypeError | typeof RangeError, RegExp][] = [
    [
      "an unknown type",
      { a: "u63" },
      RangeError,
      /^Cannot build field "a": unknown type "u63": not one of U8, S8, u16, .*, F64, u8, i8, i16, i32, i64, str1 to str256$/,
    ],
    ["Ruby's name in the wrong case", { a: "s8" }, RangeError, /unknown type "s8"/],
    ["a type that is no string", { a: { type: 1 } }, TypeError, /the type is not a string: 1$/],
    ["no type", { a: { kind: "gauge" } }, TypeError, /the type is not a string: undefined$/],
    ["a field that is no object", { a: 5 }, TypeError, /the options are not an object: 5$/],
    ["a null field", { a: null }, TypeError, /the options are not an object: null$/],
    ["a list as a field", { a: ["u64"] }, TypeError, /the options are not an object: an array$/],
    [
      "an unknown option",
      { a: { type: "u64", agregate: "max" } },
      TypeError,
      /^Cannot build field "a": unknown option "agregate": not one of type, kind, aggregate, unit, help, counter, histogram, le$/,
    ],
    ["a misspelt type", { a: { tpye: "u64" } }, TypeError, /unknown option "tpye"/],
    ["an offset", { a: { type: "u64", offset: 8 } }, TypeError, /unknown option "offset"/],
    ["an empty name", { "": "u64" }, RangeError, /the name is empty/],
    [
      "a reserved name",
      { worker_count: "u64" },
      RangeError,
      /^Cannot build field "worker_count": the name is reserved, one of worker_count, stalled_count, heartbeat$/,
    ],
    ["another reserved name", { stalled_count: "u64" }, RangeError, /reserved/],
    ["a third reserved name", { heartbeat: "u64" }, RangeError, /reserved/],
    [
      "a long name",
      { ["é".repeat(128)]: "u64" },
      RangeError,
      /the name is 256 bytes long, the limit is 255/,
    ],
    ["a control character", { "a\nb": "u64" }, RangeError, /contains control character U\+000a$/],
    [
      "an unknown kind",
      { a: { type: "u64", kind: "histogram" } },
      RangeError,
      /the kind is not one of counter, gauge: "histogram"$/,
    ],
    [
      "an unknown aggregate",
      { a: { type: "u64", aggregate: "avg" } },
      RangeError,
      /the aggregate is not one of sum, min, max, last: "avg"$/,
    ],
    [
      "max of a counter",
      { a_total: { type: "u64", aggregate: "max" } },
      RangeError,
      /a counter is summed/,
    ],
    [
      "a unit that is no string",
      { a: { type: "u64", unit: 1 } },
      TypeError,
      /the unit is not a string: 1$/,
    ],
    [
      "a help that is no string",
      { a: { type: "u64", help: {} } },
      TypeError,
      /the help is not a string: an object$/,
    ],
    ["no definition", null, TypeError, /the definition is not an object: null$/],
    ["a list", ["u64"], TypeError, /the definition is not an object: an array$/],
    ["no fields", {}, RangeError, /^Cannot build a schema of 0 fields: 1 to 4096 are allowed$/],
  ];
  for (const [what, definition, type, message] of mistakes) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => Schema.build(definition as Definition),
        (error: Error) => {
          assert.equal(error.constructor, type);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }

  it("refuses more fields than a supervisor would take", () => {
    const entries = Array.from({ length: 4097 }, (_, index) => [`f${index}`, "U8"]);
    assert.throws(
      () => Schema.build(Object.fromEntries(entries) as Definition),
      /^RangeError: Cannot build a schema of 4097 fields: 1 to 4096 are allowed$/,
    );
  });
});

describe("Schema.fromRows()", () => {
  it("keeps a packed layout", () => {
    const rows: Row[] = [
      ["a", "u32", 0],
      ["b", "u64", 4, { unit: "bytes" }],
    ];
    const schema = Schema.fromRows(rows);
    assert.equal(schema.size, 12);
    assert.deepEqual(schema.toRows(), rows);
  });

  it("refuses what parseRows() drops", () => {
    assert.throws(() => Schema.fromRows([]), RangeError);
    assert.throws(() => Schema.fromRows([["a", "u64", -1]]), /row 0, field "a": the offset is not/);
  });
});

describe("parseRows()", () => {
  it("reads what toRows() wrote", () => {
    const schema = Schema.build({
      a_total: "u64",
      b: { type: "F32", aggregate: "last", unit: "s", help: "…" },
      c_active: { type: "u32", counter: "a_total" },
      d_bucket: { type: "u64", kind: "counter", histogram: "d", le: "+Inf" },
      d_sum: { type: "f64", kind: "counter", histogram: "d" },
    });
    const rows = JSON.parse(JSON.stringify(schema.toRows()));
    assert.deepEqual(parseRows(rows, 512), { fields: schema.fields, texts: [], rejected: [] });
  });

  it("has no answer where there is no schema", () => {
    for (const rows of [null, undefined, "abc", 7, {}, [], Array(4097).fill(["a", "U8", 0])]) {
      assert.equal(parseRows(rows, 512), null);
    }
    assert.equal(parseRows(Array(4096).fill(["a", "U8", 0]), 512)?.fields.length, 1);
  });

  const rejected: [row: unknown, name: string | null, reason: RegExp][] = [
    [null, null, /the row is not \[name, type, offset\]: null$/],
    ["a\nbc", null, /the row is not .*: "a\ufffdbc"$/],
    [{}, null, /the row is not .*: an object$/],
    [[], null, /the row is not .*: 0 elements$/],
    [["x", "u64"], "x", /the row is not .*: 2 elements$/],
    [[1, "u64", 0], null, /the name is not a string: 1$/],
    [[null, "u64", 0], null, /the name is not a string: null$/],
    [["", "u64", 0], "", /the name is empty/],
    [["worker_count", "u64", 0], "worker_count", /reserved/],
    [["x\u0000y", "u64", 0], "x\ufffdy", /control character/],
    [["é".repeat(128), "u64", 0], `${"é".repeat(64)}…`, /256 bytes long/],
    [["x", "i64", 0], "x", /unknown type "i64": not one of U8, .*, F64, str1 to str256$/],
    [["x", "u64", 0, { histogram: "h" }], "x", /a part of a histogram is a counter/],
    [["x_total", "u64", 0, { le: "1" }], "x_total", /the bound le is of no histogram: "1"$/],
    [
      ["x_total", "u64", 0, { histogram: "h", le: 1 }],
      "x_total",
      /the bound le is not a string: 1$/,
    ],
    [["x_total", "u64", 0, { histogram: "h", le: "a" }], "x_total", /le is no number .*: "a"$/],
    [["x", "u64", 0, { counter: "a\nb" }], "x", /the counter contains control character/],
    [["x", null, 0], "x", /unknown type null: not one of/],
    [["x", "toString", 0], "x", /unknown type/],
    [["x", "u64", null], "x", /the offset is not a whole number of bytes: null$/],
    [["x", "u64", -8], "x", /the offset is not .*: -8$/],
    [["x", "u64", 1.5], "x", /the offset is not .*: 1\.5$/],
    [["x", "u64", Number.NaN], "x", /the offset is not/],
    [["x", "u64", 2 ** 60], "x", /the offset is not/],
    [["x", "u64", 8n], "x", /the offset is not .*: a bigint$/],
    [["x", "u64", "8"], "x", /the offset is not .*: "8"$/],
    [["x", "u64", 57], "x", /it ends at byte 65, the segment at 64/],
    [["x", "U8", 64], "x", /it ends at byte 65/],
    [["x", "u64", 0, "counter"], "x", /the options are not an object/],
    [["x", "u64", 0, []], "x", /the options are not an object/],
    [["x", "u64", 0, { kind: 1 }], "x", /the kind is not/],
    [["x", "u64", 0, { aggregate: "p99" }], "x", /the aggregate is not/],
    [["x_total", "u64", 0, { aggregate: "min" }], "x_total", /a counter is summed/],
    [["x", "u64", 0, { unit: "u".repeat(256) }], "x", /the unit is 256 bytes long/],
    [["x", "u64", 0, { help: "h".repeat(4097) }], "x", /the help is 4097 bytes long/],
  ];
  for (const [row, name, reason] of rejected) {
    const shown = JSON.stringify(row, (_, value) =>
      typeof value === "bigint" ? `${value}n` : value,
    );
    it(`drops ${shown.slice(0, 60)} and keeps the others`, () => {
      const parsed = parseRows([["a", "u64", 0], row, ["b", "u64", 56]], 64)!;
      assert.deepEqual(
        parsed.fields.map((field) => field.name),
        ["a", "b"],
      );
      assert.equal(parsed.rejected.length, 1);
      assert.equal(parsed.rejected[0]!.index, 1);
      assert.equal(parsed.rejected[0]!.name, name);
      assert.match(parsed.rejected[0]!.reason, reason);
    });
  }

  it("ignores what a newer worker may add", () => {
    const { fields, rejected } = parseRows([["a", "u64", 3, { color: "red" }, 5]], 64)!;
    assert.equal(fields[0]!.offset, 3);
    assert.deepEqual(rejected, []);
    assert.equal(parseRows([["a", "u64", 0, null]], 64)?.rejected.length, 0);
  });

  it("lets the last row of a name win, in the first one's place", () => {
    const { fields, rejected } = parseRows(
      [
        ["a", "u64", 0],
        ["b", "u64", 8],
        ["a", "u32", 16, { kind: "counter" }],
        ["a", "u99", 0],
      ],
      64,
    )!;
    assert.deepEqual(
      fields.map(({ name, type, offset, kind }) => [name, type, offset, kind]),
      [
        ["a", "u32", 16, "counter"],
        ["b", "u64", 8, "gauge"],
      ],
    );
    assert.equal(rejected.length, 1);
  });

  it("is not confused by names of object properties", () => {
    const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
    const { fields } = parseRows(
      names.map((name, index) => [name, "u64", index * 8]),
      64,
    )!;
    assert.deepEqual(
      fields.map((field) => field.name),
      names,
    );
  });
});
