// The plug-in for Extism: the sources of the core and the rule, compiled to one module. Version
// 1.0.3 of Extism's JavaScript SDK cannot link a second module to core.wasm.
//
// `decide` takes a message (message.ts) as its input and gives an f64 as its output.

import { accumulator, finish, forget, reset, results } from "../../assembly/accumulators";
import { accumulate } from "../../assembly/aggregate";
import { attach, group, groupAt, init, rows, stage } from "../../assembly/groups";
import {
  GROUP_BATCH,
  GROUP_WORDS,
  LIVE,
  RESULT_VALUE,
  ROW_ACCUMULATOR,
  ROW_OFFSET,
  ROW_TYPE,
  SAMPLE,
  SUM,
} from "../../assembly/layout";
import { allocate, capacity, grow } from "../../assembly/segments";
import {
  errorSet,
  hostAllocate,
  hostStoreByte,
  hostStoreWord,
  inputLength,
  inputLoadWord,
  outputSet,
} from "./extism";
import { AGE_MS, CAPACITY, OFFSET, SEGMENT_SIZE, SEGMENTS, TYPE, WORKERS } from "./message";
import { shedFraction } from "./rule";

// The field that is watched: an instance watches one, as an instance of the core serves one file.
let segmentSize: i32 = 0;
let type: i32 = -1;
let offset: i32 = 0;

/** Rows that the group has room for. */
let members: i32 = 0;

/** Answers with the part of the requests to turn away; returns 0, or 1 with an error set. */
export function decide(): i32 {
  const length = inputLength();
  if (length < SEGMENTS) return fail("The message is too short");
  const size = inputInteger(SEGMENT_SIZE);
  const workers = inputInteger(WORKERS);
  if (size <= 0 || (size & 7) !== 0) return fail("The segment size is not a multiple of 8");
  if (workers < 0 || <i64>workers * size !== length - SEGMENTS) {
    return fail("The message has not the length of its segments");
  }
  let active: f64 = 0;
  if (workers > 0) {
    if (!watch(size, inputInteger(TYPE), inputInteger(OFFSET))) {
      return fail("The field is not in the segment, or not the one of the messages before");
    }
    if (!reserve(workers)) return fail("There is no memory for so many workers");
    active = sum(workers);
  }
  answer(shedFraction(active, workers, inputFloat(CAPACITY), inputFloat(AGE_MS)));
  return 0;
}

/** Compiles the schema, one field, when it is first seen; false when it is not in order. */
function watch(size: i32, fieldType: i32, fieldOffset: i32): bool {
  if (type >= 0) return size === segmentSize && fieldType === type && fieldOffset === offset;
  if (size !== segmentSize) {
    if (init(size) < 0) return false;
    segmentSize = size;
  }
  const row = rows(1);
  const active = accumulator(SUM);
  if (row < 0 || active < 0) return false;
  store<i32>(<usize>row, fieldType, ROW_TYPE);
  store<i32>(<usize>row, fieldOffset, ROW_OFFSET);
  store<i32>(<usize>row, active, ROW_ACCUMULATOR);
  if (group(1) < 0) {
    forget(active);
    return false;
  }
  type = fieldType;
  offset = fieldOffset;
  return true;
}

/** Makes at least this many members of the group. Which row is whose does not matter to a sum. */
function reserve(workers: i32): bool {
  if (workers > capacity() && grow(workers) < 0) return false;
  for (; members < workers; members++) {
    const segment = allocate(members, 0);
    if (segment < 0 || attach(segment, 0) < 0) return false;
  }
  return true;
}

/** The sum of the field over the segments of the message. */
function sum(workers: i32): f64 {
  reset();
  const words = load<i32>(groupAt(0), GROUP_WORDS);
  const batch = load<i32>(groupAt(0), GROUP_BATCH);
  for (let first = 0; first < workers; first += batch) {
    const count = min(batch, workers - first);
    let target = stage();
    for (let row = first; row < first + count; row++) {
      const source = SEGMENTS + <i64>row * segmentSize;
      for (let word = 0; word < words; word++, target += 8) {
        store<i64>(target, inputLoadWord(source + (word << 3)));
      }
    }
    accumulate(0, LIVE, first, count);
  }
  finish(SAMPLE);
  return load<f64>(results(), RESULT_VALUE);
}

/** Words are read where they are aligned: the last one must not reach beyond the input. */
function inputInteger(offset: i64): i32 {
  return <i32>(inputLoadWord(offset & ~7) >>> ((offset & 7) << 3));
}

function inputFloat(offset: i64): f64 {
  return reinterpret<f64>(inputLoadWord(offset));
}

function answer(value: f64): void {
  const address = hostAllocate(8);
  hostStoreWord(address, reinterpret<i64>(value));
  outputSet(address, 8);
}

/** Text in ASCII: a heap for strings would lie where the core keeps its tables. */
function fail(message: string): i32 {
  const address = hostAllocate(message.length);
  for (let i = 0; i < message.length; i++) hostStoreByte(address + i, message.charCodeAt(i));
  errorSet(address);
  return 1;
}
