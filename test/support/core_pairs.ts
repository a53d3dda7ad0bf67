// Random schemas over random segments, through one core, against the rules in plain TypeScript.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  ACCUMULATOR_BYTES,
  ACCUMULATOR_RETIRED,
  AGGREGATE_COUNT,
  COUNTER,
  DETACHED,
  GROUP_BATCH,
  GROUP_BYTES,
  GROUP_WORDS,
  LIVE,
  OK,
  RESULT_BYTES,
  RESULT_HIGH,
  RESULT_KIND,
  RESULT_LOW,
  RESULT_VALUE,
  ROW_BYTES,
  SAMPLE,
  TOTALS,
  TYPE_COUNT,
} from "../../assembly/layout.ts";
import type { Core } from "../../host/core.ts";
import { FIELD_TYPES, sizeOf } from "../../host/field_type.ts";
import { decodeField, type Value } from "../reference.ts";
import { type Region, WatchedMemory } from "./core_memory.ts";
import { ModelAccumulator, type Result, resultOf } from "./core_sums.ts";
import { randomFrom } from "./random.ts";

/** Whole words or not, one row or many in the stage, and a stage of one large row. */
const SEGMENT_SIZES = [1, 3, 7, 8, 9, 24, 63, 64, 65, 128, 512, 1000, 8192, 70_001];
/** Segments of a core: more than are staged at once. */
const SEGMENTS = 150;
const MOST_FIELDS = 200;
const FILLER = 0x5a;
const EDGES = [0x00, 0x00, 0xff, 0xff, 0x7f, 0x80, 0xf0, 0x01];

/** One schema, and how many workers there are of it. */
export interface PairsCase {
  readonly segmentSize: number;
  readonly fields: readonly {
    readonly type: number;
    readonly place: number;
    readonly aggregate: number;
    /** Whether it goes to the accumulator of the field before it. */
    readonly shared: boolean;
    /** Whether it is like the field before it, and right behind it, if there is room. */
    readonly beside: boolean;
  }[];
  readonly live: number;
  readonly detached: number;
  /** The segments' bytes follow from it. */
  readonly bytes: number;
}

const FIELD = fc.record({
  type: fc.nat(TYPE_COUNT - 1),
  place: fc.nat(0xffff),
  aggregate: fc.nat(AGGREGATE_COUNT - 1),
  shared: fc.integer({ min: 0, max: 5 }).map((one) => one === 5),
  beside: fc.integer({ min: 0, max: 3 }).map((one) => one !== 3),
});

export const PAIRS: fc.Arbitrary<PairsCase> = fc.record({
  segmentSize: fc.constantFrom(...SEGMENT_SIZES),
  fields: fc.oneof(
    { weight: 30, arbitrary: fc.array(FIELD, { maxLength: 8 }) },
    { weight: 1, arbitrary: fc.array(FIELD, { maxLength: MOST_FIELDS, size: "max" }) },
  ),
  live: fc.oneof(
    { weight: 30, arbitrary: fc.nat(5) },
    { weight: 1, arbitrary: fc.nat(SEGMENTS - 10) },
  ),
  detached: fc.nat(3),
  bytes: fc.integer(),
});

interface Field {
  readonly type: number;
  readonly aggregate: number;
  readonly offset: number;
  readonly accumulator: number;
}

/** One core of one segment size, used for many cases. */
class Rig {
  readonly segmentSize: number;
  readonly core: Core;
  readonly memory: WatchedMemory;
  readonly #accumulators: Region;
  uses = 0;

  constructor(segmentSize: number, makeCore: () => Core) {
    this.segmentSize = segmentSize;
    this.core = makeCore();
    this.memory = new WatchedMemory(this.core);
    const { exports } = this.core;
    assert.equal(exports.init(segmentSize), OK);
    assert.equal(exports.grow(SEGMENTS), OK);
    // As many as are ever in use, so that their table never moves.
    const all = Array.from({ length: MOST_FIELDS }, () => exports.accumulator(COUNTER));
    const start = exports.retired(all[0]!) - ACCUMULATOR_RETIRED;
    this.#accumulators = { start, end: start + MOST_FIELDS * ACCUMULATOR_BYTES };
    for (const accumulator of all) assert.equal(exports.forget(accumulator), OK);
  }

  /** Runs a case; with `watched`, all memory is compared before and after each call. */
  run({ fields, live, detached, bytes }: PairsCase, watched: boolean): void {
    const { core, segmentSize } = this;
    const { exports } = core;
    const models = new Map<number, ModelAccumulator>();
    const rows: Field[] = [];
    for (const { place, shared, beside, ...own } of fields) {
      const before = rows.at(-1);
      const next = before === undefined ? 0 : before.offset + sizeOf(FIELD_TYPES[before.type]!);
      const isBeside =
        beside && before !== undefined && next + (next - before.offset) <= segmentSize;
      const { type, aggregate } = isBeside ? before : own;
      const room = segmentSize - sizeOf(FIELD_TYPES[type]!);
      if (room < 0) continue;
      let accumulator = before?.accumulator;
      if (!shared || accumulator === undefined) {
        accumulator = exports.accumulator(aggregate);
        assert.ok(accumulator >= 0 && !models.has(accumulator));
        models.set(accumulator, new ModelAccumulator(aggregate));
      }
      rows.push({ type, aggregate, offset: isBeside ? next : place % (room + 1), accumulator });
    }
    const group = this.#compile(rows);
    const segments = Array.from({ length: live + detached }, (_, worker) => {
      const segment = exports.allocate(worker, 0);
      assert.equal(exports.attach(segment, group), OK);
      if (worker >= live) assert.equal(exports.detach(segment), OK);
      return segment;
    });
    const images = segments.map((_, index) => randomSegment(segmentSize, bytes + index));
    const values = images.map((image) =>
      rows.map(({ type, offset }) => decodeField(image, FIELD_TYPES[type]!, offset)),
    );

    const isChanged = watched ? this.#guard() : runIt;
    isChanged("reset", [this.#accumulators], () => exports.reset());
    this.#add(group, LIVE, images.slice(0, live), isChanged);
    this.#add(group, DETACHED, images.slice(live), isChanged);
    // By batches, and field by field within each, as the rows are staged.
    const batch = this.#group(group, GROUP_BATCH);
    for (let first = 0; first < live; first += batch) {
      rows.forEach(({ accumulator }, field) => {
        const model = models.get(accumulator)!;
        for (let row = first; row < Math.min(first + batch, live); row++) {
          model.addLive(values[row]![field]!, row);
        }
      });
    }
    rows.forEach(({ accumulator }, field) => {
      const model = models.get(accumulator)!;
      for (const row of values.slice(live)) model.addDetached(row[field]!);
    });
    this.#finish(models, isChanged);

    const last = segments.length - 1;
    if (last >= 0) {
      this.#stage(group, [images[last]!]);
      this.#decode(group, values[last]!, isChanged);
      for (const sign of [1, 1, -1]) {
        isChanged("retire", [this.#accumulators], () =>
          assert.equal(exports.retire(group, sign), OK),
        );
        rows.forEach(({ accumulator }, field) => {
          models.get(accumulator)!.retire(values[last]![field]!, sign);
        });
      }
      this.#finish(models, isChanged);
    }

    for (const segment of segments) assert.equal(exports.free(segment, 0), OK);
    assert.equal(exports.dissolve(group), OK);
    for (const accumulator of models.keys()) assert.equal(exports.forget(accumulator), OK);
    assert.equal(exports.available(), SEGMENTS);
    if (watched) this.memory.checkCanaries();
  }

  #compile(fields: readonly Field[]): number {
    const { core } = this;
    const at = core.exports.rows(fields.length);
    core.refresh();
    fields.forEach(({ type, offset, accumulator }, index) => {
      core.int32.set([type, offset, accumulator], (at + index * ROW_BYTES) >>> 2);
    });
    const group = core.exports.group(fields.length);
    core.refresh();
    assert.ok(group >= 0, `group answered ${group}`);
    return group;
  }

  #group(group: number, field: number): number {
    return this.core.int32[(this.core.exports.groups() + group * GROUP_BYTES + field) >>> 2]!;
  }

  /** Puts rows into the stage; what lies around them must not matter. */
  #stage(group: number, images: readonly DataView[]): void {
    const { bytes, exports } = this.core;
    const words = this.#group(group, GROUP_WORDS);
    const start = exports.stage();
    const used = Math.min(words * 8, this.segmentSize);
    bytes.fill(FILLER, start, start + Math.max(65_536, (this.segmentSize + 7) & ~7));
    images.forEach((image, row) => {
      bytes.set(new Uint8Array(image.buffer, 0, used), start + row * words * 8);
    });
  }

  #add(group: number, list: number, images: readonly DataView[], isChanged: Guard): void {
    const batch = this.#group(group, GROUP_BATCH);
    for (let first = 0; first < images.length; first += batch) {
      const rows = images.slice(first, first + batch);
      this.#stage(group, rows);
      isChanged("accumulate", [this.#accumulators], () => {
        assert.equal(this.core.exports.accumulate(group, list, first, rows.length), OK);
      });
    }
  }

  #finish(models: ReadonlyMap<number, ModelAccumulator>, isChanged: Guard): void {
    const { exports } = this.core;
    const results = this.#results(MOST_FIELDS);
    isChanged("finish", [results], () => exports.finish(SAMPLE));
    for (const [index, model] of models) {
      assert.deepEqual(this.#result(index), model.sample(), `sample of ${index}`);
    }
    isChanged("finish", [results], () => exports.finish(TOTALS));
    for (const [index, model] of models) {
      assert.deepEqual(this.#result(index), model.totals(), `totals of ${index}`);
    }
  }

  #decode(group: number, values: readonly Value[], isChanged: Guard): void {
    isChanged("decode", [this.#results(values.length)], () => {
      assert.equal(this.core.exports.decode(group), values.length);
    });
    values.forEach((value, index) => {
      const bank = typeof value === "bigint" ? { integer: value } : { float: value };
      assert.deepEqual(this.#result(index), resultOf(bank), `field ${index}`);
    });
  }

  #results(count: number): Region {
    const start = this.core.exports.results();
    return { start, end: start + count * RESULT_BYTES };
  }

  #result(index: number): Result {
    const { float64, biguint64, bigint64, exports } = this.core;
    const at = exports.results() + index * RESULT_BYTES;
    const low = biguint64[(at + RESULT_LOW) >>> 3]!;
    const high = bigint64[(at + RESULT_HIGH) >>> 3]!;
    return {
      kind: float64[(at + RESULT_KIND) >>> 3]!,
      value: float64[(at + RESULT_VALUE) >>> 3]!,
      integer: (high << 64n) + low,
    };
  }

  #guard(): Guard {
    return (what, allowed, action) => {
      this.memory.remember();
      action();
      this.memory.checkUnchanged(allowed, what);
    };
  }
}

/** Runs an action, which may change these regions and nothing else. */
type Guard = (what: string, allowed: readonly Region[], action: () => void) => void;
const runIt: Guard = (_what, _allowed, action) => action();

/** Bytes at random, with many that are at the limits of the types. */
function randomSegment(size: number, seed: number): DataView {
  const random = randomFrom(seed);
  const edgy = random() < 0.5;
  const bytes = new Uint8Array(size);
  // Large segments repeat themselves: there are few fields in them.
  for (let at = 0; at < Math.min(size, 1009); at++) {
    const bits = random() * 2 ** 32;
    const edge = edgy && bits % 4 >= 1;
    bytes[at] = edge ? EDGES[(bits >>> 8) & 7]! : bits >>> 24;
  }
  for (let filled = 1009; filled < size; filled *= 2) bytes.copyWithin(filled, 0, filled);
  return new DataView(bytes.buffer);
}

/** Runs cases, each on a core of its segment size that has run some before. */
export class Pairs {
  readonly #makeCore: () => Core;
  readonly #rigs: Map<number, Rig> = new Map();
  /** Schemas with the bytes of a segment. */
  count = 0;
  watched = 0;
  #cases = 0;

  constructor(makeCore: () => Core) {
    this.#makeCore = makeCore;
  }

  run(one: PairsCase): void {
    const { segmentSize, live, detached } = one;
    let rig = this.#rigs.get(segmentSize);
    if (rig === undefined || rig.uses++ >= 5000) rig = new Rig(segmentSize, this.#makeCore);
    // A core that has failed is not used again.
    this.#rigs.delete(segmentSize);
    const watched = this.#cases++ % 32 === 0;
    rig.run(one, watched);
    this.#rigs.set(segmentSize, rig);
    this.count += live + detached;
    if (watched) this.watched++;
  }
}
