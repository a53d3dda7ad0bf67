// Calls to the core in any order and with any arguments, against what docs/abi.md says of them.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BAD_ARGUMENT,
  DETACHED,
  FREE,
  GROUP_BATCH,
  GROUP_BYTES,
  GROUP_BYTEWISE,
  GROUP_COUNT,
  GROUP_DETACHED,
  GROUP_LIVE,
  GROUP_OPERATIONS,
  GROUP_WORDS,
  HELD,
  LIVE,
  MEMBERS_COUNT,
  MEMBERS_POINTER,
  NONE,
  OK,
  OUT_OF_MEMORY,
  RESULT_BYTES,
  ROW_BYTES,
  SEGMENT_BYTES,
  SEGMENT_GROUP,
  SEGMENT_MOMENT,
  SEGMENT_NEXT,
  SEGMENT_POSITION,
  SEGMENT_STATE,
  SEGMENT_WORKER,
  STAGE_BYTES,
} from "../../assembly/layout.ts";
import type { Core } from "../../host/core.ts";
import { cappedCore, type Region, WatchedMemory } from "./core_memory.ts";
import { CoreModel, type Expected, type ModelRow } from "./core_model.ts";

const NAMES = [
  "init",
  "grow",
  "allocate",
  "allocate",
  "allocate",
  "find",
  "attach",
  "attach",
  "attach",
  "detach",
  "free",
  "next",
  "accumulator",
  "define",
  "forget",
  "rows",
  "group",
  "group",
  "dissolve",
  "oldest",
  "accumulate",
  "decode",
  "retire",
  "retired",
  "reset",
  "finish",
  "selftest",
] as const;

/** One call: which arguments it takes is its own business. */
export interface CoreCall {
  readonly name: (typeof NAMES)[number];
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly moment: number;
  /** Whether the arguments are indices among what there is, instead of what they are. */
  readonly aimed: boolean;
  /** What is written into the scratch of rows before `group`. */
  readonly rows: readonly ModelRow[];
}

export interface CallsCase {
  readonly segmentSize: number;
  readonly segments: number;
  /** How many calls come before `init`. */
  readonly early: number;
  readonly calls: readonly CoreCall[];
}

/** Any i32: mostly one that may be an index. */
const INTEGER = fc.oneof(
  { weight: 8, arbitrary: fc.nat(3) },
  { weight: 6, arbitrary: fc.nat(20) },
  { weight: 1, arbitrary: fc.integer() },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      -1,
      -2,
      -(2 ** 31),
      2 ** 31 - 1,
      64,
      65,
      4096,
      4097,
      2 ** 17,
      2 ** 25,
    ),
  },
);
/** Any f64: mostly a small one. */
const MOMENT = fc.oneof(fc.nat(10), fc.nat(10), fc.double(), fc.constantFrom(-0, Number.NaN));
const ROW: fc.Arbitrary<ModelRow> = fc.record({
  type: fc.oneof({ weight: 30, arbitrary: fc.nat(17) }, { weight: 1, arbitrary: INTEGER }),
  offset: fc.oneof(
    { weight: 30, arbitrary: fc.nat(56) },
    { weight: 1, arbitrary: INTEGER },
    // Near the end of a segment, and of all numbers.
    { weight: 1, arbitrary: fc.integer({ min: 56, max: 64 }) },
    { weight: 1, arbitrary: fc.integer({ min: -8, max: -1 }) },
  ),
  accumulator: fc.oneof({ weight: 30, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: INTEGER }),
});

export const CALLS: fc.Arbitrary<CallsCase> = fc.record({
  segmentSize: fc.constantFrom(1, 7, 8, 64, 64, 64, 65, 512, 1 << 17),
  segments: fc.nat(40),
  early: fc.oneof(fc.constant(0), fc.constant(0), fc.nat(8)),
  calls: fc.array(
    fc.record({
      name: fc.constantFrom(...NAMES),
      a: INTEGER,
      b: INTEGER,
      c: INTEGER,
      d: INTEGER,
      moment: MOMENT,
      aimed: fc.boolean(),
      rows: fc.array(ROW, { maxLength: 4 }),
    }),
    { maxLength: 120, size: "max" },
  ),
});

/** Calls that may need memory, and say so. */
const GROWING: ReadonlySet<string> = new Set([
  "init",
  "grow",
  "allocate",
  "attach",
  "detach",
  "accumulator",
  "rows",
  "group",
]);
/** More than this at once may be more than there is. */
const LARGE = 4000;

export class Calls {
  count = 0;
  refused = 0;
  outOfMemory = 0;

  run({ segmentSize, segments, early, calls }: CallsCase): void {
    const session = new Session(this);
    const begin = { a: 0, b: 0, c: 0, d: 0, moment: 0, aimed: false, rows: [] };
    calls.forEach((call, index) => {
      if (index === early) {
        session.call({ ...begin, name: "init", a: segmentSize });
        session.call({ ...begin, name: "grow", a: segments });
      }
      session.call(call);
      if (index % 16 === 0) session.check();
    });
    session.check();
    session.memory.checkCanaries();
  }
}

/** One core and its model. */
class Session {
  readonly memory: WatchedMemory;
  readonly #core: Core;
  readonly #model: CoreModel = new CoreModel();
  readonly #counts: Calls;
  #large = false;

  constructor(counts: Calls) {
    this.#counts = counts;
    this.#core = cappedCore();
    this.memory = new WatchedMemory(this.#core);
  }

  call(given: CoreCall): void {
    const call = given.aimed ? this.#aimed(given) : given;
    const { name, a } = call;
    const isSelftestTooEarly = name === "selftest" && this.#model.segmentSize === 0;
    const isUnchecked = name === "forget" && this.#model.isReferred(a);
    if (isSelftestTooEarly || isUnchecked) return;
    if (name === "group") this.#write(call.rows);
    this.memory.remember();
    const { exports } = this.#core;
    const expected = this.#expected(call);
    const answer = this.#invoke(call);
    this.#core.refresh();
    this.#counts.count++;
    if (["init", "grow", "rows"].includes(name) && a > LARGE) this.#large = true;
    if (answer === OUT_OF_MEMORY && GROWING.has(name) && expected !== BAD_ARGUMENT) {
      assert.ok(this.#large, `${name} finds no memory, though little is in use`);
      this.#counts.outOfMemory++;
      return;
    }
    this.#checkAnswer(name, answer, expected);
    if (answer === BAD_ARGUMENT) this.#counts.refused++;
    const regions = this.#mayChange(call, answer);
    if (regions !== null) this.memory.checkUnchanged(regions, `${name} answered ${answer} and`);
    if (answer >= 0) this.#apply(call, answer);
    assert.equal(exports.available(), this.#model.free.length);
    assert.equal(exports.capacity(), this.#model.segments.length);
  }

  /** The same call, of something that there is: otherwise most would be refused. */
  #aimed(call: CoreCall): CoreCall {
    const { segments, groups, accumulators, scratch } = this.#model;
    const pick = (from: readonly number[], which: number): number =>
      from[(which >>> 0) % from.length] ?? which;
    const segmentsIn = (...states: number[]): number[] =>
      [...segments.keys()].filter((index) => states.includes(segments[index]!.state));
    const group = pick([...groups.keys()], call.b);
    switch (call.name) {
      case "attach":
        return { ...call, a: pick(segmentsIn(HELD), call.a), b: group };
      case "detach":
        return { ...call, a: pick(segmentsIn(HELD, LIVE), call.a) };
      case "free":
        return { ...call, a: pick(segmentsIn(HELD, LIVE, DETACHED), call.a) };
      case "define":
      case "forget":
      case "retired":
        return { ...call, a: pick([...accumulators], call.a) };
      case "group": {
        const rows = call.rows.map((row) => {
          return { ...row, accumulator: pick([...accumulators], row.accumulator) };
        });
        return { ...call, a: Math.min(rows.length, scratch.length), rows };
      }
      case "accumulate":
        return { ...call, a: group, b: pick([LIVE, DETACHED], call.b), c: 0, d: call.d & 3 };
      case "dissolve":
      case "oldest":
      case "decode":
      case "retire":
        return { ...call, a: group };
      default:
        return call;
    }
  }

  #checkAnswer(name: string, answer: number, expected: Expected): void {
    const { accumulators, groups } = this.#model;
    if (typeof expected === "number") {
      assert.equal(answer, expected, name);
      return;
    }
    assert.ok(answer >= 0, `${name} answered ${answer}`);
    if (expected === "new accumulator") assert.ok(!accumulators.has(answer), `${answer} is in use`);
    if (expected === "new group") assert.ok(!groups.has(answer), `${answer} is in use`);
  }

  /** What a call may change of what is in memory: nothing, one region, or (null) any table. */
  #mayChange({ name }: CoreCall, answer: number): readonly Region[] | null {
    if (answer < 0) return [];
    const { exports } = this.#core;
    const start = exports.results();
    if (name === "decode") return [{ start, end: start + answer * RESULT_BYTES }];
    if (name === "finish") {
      const count = 1 + Math.max(-1, ...this.#model.accumulators, this.#mostAccumulators);
      return [{ start, end: start + count * RESULT_BYTES }];
    }
    return ["find", "next", "oldest", "retired"].includes(name) ? [] : null;
  }

  #mostAccumulators = -1;

  #expected({ name, a, b, c, d, moment }: CoreCall): Expected {
    const model = this.#model;
    switch (name) {
      case "init":
        return model.init(a);
      case "grow":
        return model.grow(a);
      case "allocate":
        return model.allocate(a, moment);
      case "find":
        return model.workers.get(a) ?? NONE;
      case "attach":
        return model.attach(a, b);
      case "detach":
        return model.detach(a);
      case "free":
        return model.release(a);
      case "next":
        return model.next(a);
      case "accumulator":
        return model.accumulator(a);
      case "define":
        return model.define(a, b);
      case "forget":
        return model.accumulators.has(a) ? OK : BAD_ARGUMENT;
      case "retired":
        return model.accumulators.has(a) ? "address" : BAD_ARGUMENT;
      case "rows":
        return model.rows(a);
      case "group":
        return model.group(a);
      case "dissolve":
        return model.dissolve(a);
      case "oldest":
        return model.oldest(a);
      case "accumulate":
        return model.accumulate(a, b, c, d);
      case "decode":
        return model.groups.get(a)?.rows.length ?? BAD_ARGUMENT;
      case "retire":
        return model.groups.has(a) ? OK : BAD_ARGUMENT;
      case "selftest":
        return BAD_ARGUMENT;
      default:
        return OK;
    }
  }

  #invoke({ name, a, b, c, d, moment }: CoreCall): number {
    const { exports } = this.#core;
    switch (name) {
      case "allocate":
      case "free":
        return exports[name](a, moment);
      case "attach":
      case "define":
      case "retire":
        return exports[name](a, b);
      case "accumulate":
        return exports.accumulate(a, b, c, d);
      case "reset":
      case "selftest":
        return exports[name]() ?? OK;
      case "finish":
        exports.finish(a);
        return OK;
      default:
        return exports[name](a);
    }
  }

  #apply({ name, a, b, moment }: CoreCall, answer: number): void {
    const model = this.#model;
    switch (name) {
      case "init":
        model.initialised(a);
        break;
      case "grow":
        model.grown(a);
        break;
      case "allocate":
        model.allocated(answer, a);
        break;
      case "attach":
        model.attached(a, b);
        break;
      case "detach":
        model.detached(a);
        break;
      case "free":
        model.released(a, moment);
        break;
      case "accumulator":
        model.accumulators.add(answer);
        this.#mostAccumulators = Math.max(this.#mostAccumulators, answer);
        break;
      case "forget":
        model.accumulators.delete(a);
        break;
      case "rows":
        while (model.scratch.length < a) model.scratch.push({ type: 0, offset: 0, accumulator: 0 });
        break;
      case "group":
        model.grouped(answer, a);
        break;
      case "dissolve":
        model.groups.delete(a);
        break;
    }
  }

  /** Writes rows into the scratch, as far as there is room. */
  #write(rows: readonly ModelRow[]): void {
    const { scratch } = this.#model;
    if (scratch.length === 0) return;
    const at = this.#core.exports.rows(0);
    rows.slice(0, scratch.length).forEach(({ type, offset, accumulator }, index) => {
      scratch[index] = { type, offset, accumulator };
      this.#core.int32.set([type, offset, accumulator], (at + index * ROW_BYTES) >>> 2);
    });
  }

  /** Compares all records with the model. */
  check(): void {
    const { int32, float64, exports } = this.#core;
    const { segments, free, groups, segmentSize } = this.#model;
    const listed: number[] = [];
    for (let at = exports.next(NONE); at !== NONE; at = exports.next(at)) listed.push(at);
    assert.deepEqual(listed, free, "the free list");
    const places = new Map(free.map((segment, place) => [segment, place]));
    segments.forEach((segment, index) => {
      const at = exports.segments() + index * SEGMENT_BYTES;
      const read = (field: number): number => int32[(at + field) >>> 2]!;
      const { state, group, worker, moment } = segment;
      const found = [SEGMENT_STATE, SEGMENT_GROUP, SEGMENT_WORKER].map(read);
      assert.deepEqual(found, [state, group, worker], `segment ${index}`);
      const place = places.get(index);
      assert.equal(place !== undefined, state === FREE);
      if (place !== undefined) assert.equal(read(SEGMENT_NEXT), free[place + 1] ?? NONE);
      if (state === FREE || state === LIVE) {
        assert.equal(float64[(at + SEGMENT_MOMENT) >>> 3], moment);
      }
      if (group === NONE) return;
      const list = state === LIVE ? GROUP_LIVE : GROUP_DETACHED;
      const members = this.#members(group, list);
      assert.equal(members[read(SEGMENT_POSITION)], index * segmentSize, `member ${index}`);
    });
    for (const [index, { rows, words, bytewise, batch }] of groups) {
      const at = exports.groups() + index * GROUP_BYTES;
      const read = (field: number): number => int32[(at + field) >>> 2]!;
      const found = [GROUP_COUNT, GROUP_WORDS, GROUP_BYTEWISE, GROUP_BATCH].map(read);
      assert.deepEqual(found, [rows.length, words, bytewise, batch], `group ${index}`);
      const operations = read(GROUP_OPERATIONS) >>> 2;
      const flat = rows.flatMap(({ type, offset, accumulator }) => [type, offset, accumulator]);
      assert.deepEqual([...int32.subarray(operations, operations + flat.length)], flat);
      for (const [state, list] of [
        [LIVE, GROUP_LIVE],
        [DETACHED, GROUP_DETACHED],
      ] as const) {
        assert.equal(this.#members(index, list).length, this.#model.members(index, state).length);
      }
    }
    if (segmentSize > 0) {
      const stage = exports.stage();
      assert.ok(
        stage % 8 === 0 && stage + STAGE_BYTES <= this.memory.end,
        "the stage is in memory",
      );
    }
  }

  #members(group: number, list: number): Int32Array {
    const { int32, exports } = this.#core;
    const at = (exports.groups() + group * GROUP_BYTES + list) >>> 2;
    const pointer = int32[at + (MEMBERS_POINTER >>> 2)]! >>> 2;
    return int32.subarray(pointer, pointer + int32[at + (MEMBERS_COUNT >>> 2)]!);
  }
}
