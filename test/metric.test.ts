import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Cells } from "../host/cells.ts";
import { decode, encode } from "../host/encoding.ts";
import { type Kind, makeField } from "../host/field.ts";
import { FIELD_TYPES, isInteger, isSigned } from "../host/field_type.ts";
import type { Metric } from "../host/metric.ts";
import { createMetric } from "../host/metrics/index.ts";
import { type FieldType, sizeOf } from "../host/schema.ts";
import { CollectingLogger } from "./support/log.ts";

const INTEGERS = FIELD_TYPES.filter(isInteger);
const FLOATS = FIELD_TYPES.filter((type) => !isInteger(type));

/** A metric attached to memory that the test can look into. */
class Subject {
  readonly log = new CollectingLogger();
  readonly cells = new Cells(new Uint8Array(32).fill(0xee));
  readonly metric: Metric;
  readonly type: FieldType;

  constructor(type: FieldType, kind: Kind = "gauge") {
    this.type = type;
    this.metric = createMetric(makeField("m", type, 0, { kind }), this.log);
    this.metric.moveTo(this.cells, 8);
  }

  /** What is in memory; everything around it must be untouched. */
  get stored(): number | bigint {
    const end = 8 + sizeOf(this.type);
    const around = [...this.cells.bytes.subarray(0, 8), ...this.cells.bytes.subarray(end)];
    assert(around.every((byte) => byte === 0xee));
    return decode(this.type, this.cells.bytes.subarray(8, end));
  }

  /** Asserts that memory and both getters agree on an integer. */
  holds(expected: bigint): void {
    assert.equal(BigInt(this.stored), expected);
    assert.equal(this.metric.bigint, expected);
    assert.equal(this.metric.value, Number(expected));
  }
}

function limitsOf(type: FieldType, kind: Kind): { minimum: bigint; maximum: bigint } {
  const bits = BigInt(sizeOf(type) * 8);
  if (!isSigned(type)) return { minimum: 0n, maximum: 2n ** bits - 1n };
  return {
    minimum: kind === "counter" ? 0n : -(2n ** (bits - 1n)),
    maximum: 2n ** (bits - 1n) - 1n,
  };
}

for (const type of INTEGERS) {
  for (const kind of ["counter", "gauge"] as const) {
    const { minimum, maximum } = limitsOf(type, kind);

    describe(`Metric ${type} ${kind}`, () => {
      it("counts up and down", () => {
        const subject = new Subject(type, kind);
        subject.holds(0n);
        for (let count = 0; count < 100; count++) subject.metric.increment();
        subject.metric.increment(10);
        subject.metric.decrement();
        subject.metric.decrement(9);
        subject.holds(100n);
        subject.metric.increment(-30);
        subject.metric.decrement(-20);
        subject.metric.increment(0);
        subject.holds(90n);
        assert.deepEqual(subject.log.lines, []);
      });

      it("stops at the maximum and says so once", () => {
        const subject = new Subject(type, kind);
        subject.metric.set(maximum - 1n);
        subject.holds(maximum - 1n);
        subject.metric.increment();
        subject.holds(maximum);
        assert.deepEqual(subject.log.lines, []);
        for (let count = 0; count < 3; count++) subject.metric.increment();
        subject.holds(maximum);
        subject.metric.decrement();
        subject.holds(maximum - 1n);
        for (const by of [2, 1e10, 2 ** 53, 1e300]) {
          subject.metric.increment(by);
          subject.holds(maximum);
        }
        subject.metric.set(maximum + 1n);
        subject.holds(maximum);
        subject.metric.set(1e300);
        subject.holds(maximum);
        assert.deepEqual(subject.log.lines, [`Metric "m" stopped at ${maximum}, its limit`]);
      });

      it("stops at the minimum and says so once", () => {
        const subject = new Subject(type, kind);
        subject.metric.set(minimum + 1n);
        subject.metric.decrement();
        subject.holds(minimum);
        assert.deepEqual(subject.log.lines, []);
        subject.metric.decrement();
        subject.holds(minimum);
        subject.metric.increment();
        subject.holds(minimum + 1n);
        for (const by of [2, 1e10, 2 ** 53, 1e300]) {
          subject.metric.decrement(by);
          subject.holds(minimum);
        }
        subject.metric.set(minimum - 1n);
        subject.holds(minimum);
        subject.metric.set(-1e300);
        subject.holds(minimum);
        assert.deepEqual(subject.log.lines, [`Metric "m" stopped at ${minimum}, its limit`]);
      });

      it("is set to any value in its range, from numbers and bigints", () => {
        const subject = new Subject(type, kind);
        for (const power of [0, 6, 7, 8, 15, 16, 31, 32, 52, 53, 60, 62, 63]) {
          for (const value of [
            2n ** BigInt(power) - 1n,
            2n ** BigInt(power),
            -(2n ** BigInt(power)),
          ]) {
            if (value < minimum || value > maximum) continue;
            subject.metric.set(value);
            subject.holds(value);
            if (BigInt(Number(value)) !== value) continue;
            subject.metric.set(0);
            subject.metric.set(Number(value));
            subject.holds(value);
          }
        }
        assert.deepEqual(subject.log.lines, []);
      });

      it("drops fractions", () => {
        const subject = new Subject(type, kind);
        subject.metric.set(5.99);
        subject.holds(5n);
        subject.metric.increment(2.9);
        subject.holds(7n);
        subject.metric.decrement(1.9);
        subject.holds(6n);
        subject.metric.set(-0.9);
        subject.holds(0n);
        if (minimum < 0n) {
          subject.metric.set(-3.7);
          subject.holds(-3n);
        }
        assert.deepEqual(subject.log.lines, []);
      });

      it("ignores what is no number and says so once", () => {
        const subject = new Subject(type, kind);
        subject.metric.set(7);
        for (const value of [Number.NaN, Infinity, -Infinity, "8", null, {}, undefined, true]) {
          subject.metric.set(value as number);
          // Without a value, undefined means 1.
          if (value !== undefined) subject.metric.increment(value as number);
          if (value !== undefined) subject.metric.decrement(value as number);
        }
        subject.metric.increment(1n as unknown as number);
        subject.holds(7n);
        assert.deepEqual(subject.log.lines, ['Metric "m" ignored NaN']);
      });
    });
  }
}

describe("Metric of 64 bits", () => {
  it("adds exactly where numbers are rounded", () => {
    for (const type of ["u64", "s64", "U64", "S64"] as const) {
      const subject = new Subject(type);
      const { maximum } = limitsOf(type, "gauge");
      let expected = 0n;
      for (const by of [2 ** 53 - 1, 1, 2 ** 53 + 2, 3, 2 ** 62, 5, -(2 ** 53 - 1), 2 ** 32, -1]) {
        expected += BigInt(by);
        subject.metric.increment(by);
        subject.holds(expected);
      }
      subject.metric.set(maximum - 2n ** 53n);
      subject.metric.increment(2 ** 53 - 1);
      subject.holds(maximum - 1n);
      subject.metric.decrement(2 ** 53 - 1);
      subject.holds(maximum - 2n ** 53n);
    }
  });

  it("stops at the maximum by ones, however it came near", () => {
    for (const type of ["u64", "s64", "U64", "S64"] as const) {
      const { maximum } = limitsOf(type, "gauge");
      const nearest = 2 ** (isSigned(type) ? 63 : 64) - 2 ** 11;
      const ways: ((metric: Metric) => void)[] = [
        (metric) => metric.set(maximum - 1n),
        (metric) => metric.set(nearest),
        (metric) => metric.increment(nearest),
        (metric) => {
          metric.set(2 ** 62);
          for (let i = 0; i < 3; i++) metric.increment(2 ** 62);
        },
      ];
      for (const come of ways) {
        const subject = new Subject(type);
        come(subject.metric);
        for (let i = 0; i < 2 ** 11 + 1; i++) subject.metric.increment();
        subject.holds(maximum);
        subject.metric.set(5);
        subject.metric.increment();
        subject.holds(6n);
      }
    }
  });

  it("carries and borrows between the halves", () => {
    for (const type of ["u64", "s64", "U64", "S64"] as const) {
      const subject = new Subject(type);
      subject.metric.set(2 ** 32 - 1);
      subject.metric.increment();
      subject.holds(2n ** 32n);
      subject.metric.decrement();
      subject.holds(2n ** 32n - 1n);
      subject.metric.increment(2 ** 32);
      subject.holds(2n ** 33n - 1n);
    }
  });

  it("crosses zero if it is signed", () => {
    const subject = new Subject("s64");
    subject.metric.increment(2);
    subject.metric.decrement(5);
    subject.holds(-3n);
    subject.metric.decrement();
    subject.holds(-4n);
    subject.metric.increment(2 ** 40);
    subject.holds(2n ** 40n - 4n);
    subject.metric.decrement(2 ** 50);
    subject.holds(2n ** 40n - 4n - 2n ** 50n);
    assert.deepEqual(subject.log.lines, []);
  });
});

for (const type of FLOATS) {
  describe(`Metric ${type}`, () => {
    const largest = sizeOf(type) === 8 ? Number.MAX_VALUE : (2 - 2 ** -23) * 2 ** 127;

    it("counts in fractions", () => {
      const subject = new Subject(type);
      subject.metric.increment();
      subject.metric.increment(0.25);
      subject.metric.decrement(3);
      assert.equal(subject.stored, -1.75);
      assert.equal(subject.metric.value, -1.75);
      assert.equal(subject.metric.bigint, -1n);
      subject.metric.set(2n ** 70n);
      assert.equal(subject.stored, 2 ** 70);
      assert.deepEqual(subject.log.lines, []);
    });

    it("takes NaN and infinities as a gauge", () => {
      const subject = new Subject(type);
      for (const value of [Infinity, -Infinity, Number.NaN]) {
        subject.metric.set(value);
        assert.equal(subject.stored, value);
      }
      assert.throws(() => subject.metric.bigint, RangeError);
      subject.metric.increment();
      assert.equal(subject.metric.value, Number.NaN);
      subject.metric.set(-0);
      assert.equal(subject.stored, -0);
      assert.deepEqual(subject.log.lines, []);
    });

    it("stays finite and not below zero as a counter", () => {
      const subject = new Subject(type, "counter");
      subject.metric.set(2.5);
      subject.metric.decrement(3);
      assert.equal(subject.stored, 0);
      subject.metric.set(-1);
      assert.equal(subject.stored, 0);
      assert.deepEqual(subject.log.lines, ['Metric "m" stopped at 0, its limit']);
      subject.metric.set(largest);
      subject.metric.increment(largest);
      assert.equal(subject.stored, largest);
      subject.metric.set(Number.NaN);
      subject.metric.set(Infinity);
      assert.equal(subject.stored, largest);
      assert.deepEqual(subject.log.lines.slice(1), ['Metric "m" ignored NaN']);
    });

    it("ignores what is no number", () => {
      const subject = new Subject(type);
      subject.metric.set(1.5);
      for (const value of ["8", null, {}, undefined, Number.NaN]) {
        if (value !== undefined) subject.metric.increment(value as number);
        if (value !== undefined) subject.metric.decrement(value as number);
        if (!Number.isNaN(value)) subject.metric.set(value as number);
      }
      subject.metric.increment(1n as unknown as number);
      subject.metric.decrement(1n as unknown as number);
      assert.equal(subject.stored, 1.5);
      assert.equal(subject.log.lines.length, 1);
    });
  });
}

describe("Metric.moveTo()", () => {
  it("takes the value along, bit for bit", () => {
    for (const type of FIELD_TYPES) {
      const subject = new Subject(type);
      subject.metric.set(isInteger(type) && !isSigned(type) ? 123 : -123);
      const before = subject.stored;
      const next = new Cells(new Uint8Array(24));
      subject.metric.moveTo(next, 16);
      assert.deepEqual(decode(type, next.bytes.subarray(16, 16 + sizeOf(type))), before);
      subject.metric.increment();
      assert.deepEqual(subject.stored, before);
      assert.equal(subject.metric.value, Number(before) + 1);
    }
  });

  it("sees what is written into its memory", () => {
    for (const type of FIELD_TYPES) {
      const subject = new Subject(type);
      subject.cells.bytes.set(encode(type, 100), 8);
      subject.metric.increment();
      assert.equal(Number(subject.stored), 101);
    }
  });
});

describe("Metric updates", () => {
  it("allocate nothing", () => {
    for (const type of FIELD_TYPES) {
      const { metric } = new Subject(type);
      const update = (count: number): void => {
        for (let index = 0; index < count; index++) {
          metric.increment();
          metric.increment(3);
          metric.set(index & 127);
          metric.decrement();
          metric.decrement(2);
        }
      };
      // Before it is optimised it does allocate.
      for (let round = 0; round < 20; round++) update(2000);
      const before = process.memoryUsage().heapUsed;
      update(200_000);
      const bytes = process.memoryUsage().heapUsed - before;
      // One object in each update would be 16 MB or more, if none were collected.
      assert(bytes < 4_000_000, `10^6 updates of ${type} took ${bytes} bytes`);
    }
  });
});

describe("Metric.track()", () => {
  it("counts while a function runs and returns its result", () => {
    const { metric } = new Subject("u32");
    assert.equal(
      metric.track(() => {
        assert.equal(metric.value, 1);
        return metric.track(() => metric.value);
      }),
      2,
    );
    assert.equal(metric.value, 0);
  });

  it("counts down when the function throws", () => {
    const { metric } = new Subject("u32");
    const error = new Error("mine");
    assert.throws(
      () =>
        metric.track(() => {
          throw error;
        }),
      error,
    );
    assert.equal(metric.value, 0);
  });

  it("counts until a promise is settled", async () => {
    const { metric } = new Subject("u64");
    const result: Promise<string> = metric.track(async () => {
      await null;
      return "done";
    });
    assert.equal(metric.value, 1);
    assert.equal(await result, "done");
    assert.equal(metric.value, 0);

    const error = new Error("mine");
    await assert.rejects(
      metric.track(async () => {
        throw error;
      }),
      error,
    );
    assert.equal(metric.value, 0);
  });

  it("waits for anything with a then()", async () => {
    const { metric } = new Subject("u64");
    let settle: ((value: number) => void) | undefined;
    const thenable = {
      // biome-ignore lint/suspicious/noThenProperty: query builders look like this.
      then(resolve: (value: number) => void) {
        settle = resolve;
      },
    };
    const result = metric.track(() => thenable);
    await null;
    assert.equal(metric.value, 1);
    settle!(5);
    assert.equal(await result, 5);
    assert.equal(metric.value, 0);
  });

  it("counts until its result is disposed of, once", () => {
    const { metric } = new Subject("u64");
    const tracking = metric.track();
    assert.equal(metric.value, 1);
    metric.increment();
    // What `using` does at the end of a block, on runtimes that know it.
    tracking[Symbol.dispose]();
    tracking[Symbol.dispose]();
    assert.equal(metric.value, 1);
  });
});
