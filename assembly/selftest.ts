// A fixed scenario over the other files, for hosts that can call a function and print a number.

import { accumulator, finish, reset, results } from "./accumulators";
import { accumulate, decode, retire } from "./aggregate";
import { attach, detach, free, group, init, oldest, rows, stage } from "./groups";
import {
  COUNTER,
  DETACHED,
  LIVE,
  MIN,
  NONE,
  OK,
  RESULT_BYTES,
  RESULT_FLOAT,
  RESULT_HIGH,
  RESULT_INTEGER,
  RESULT_KIND,
  RESULT_LOW,
  RESULT_VALUE,
  RESULT_WIDE,
  ROW_ACCUMULATOR,
  ROW_BYTES,
  ROW_OFFSET,
  ROW_TYPE,
  SAMPLE,
  TOTALS,
  TYPE_COUNT,
  TYPE_F32_LE,
  TYPE_F64_LE,
  TYPE_S64_LE,
  TYPE_U8,
  TYPE_U16_LE,
  TYPE_U64_BE,
  TYPE_U64_LE,
} from "./layout";
import { allocate, available, find, grow, next } from "./segments";
import { isFloat, sizeOfType } from "./types";

/** A word per type, and a word for the three gauges. */
const GAUGE_OFFSET: i32 = TYPE_COUNT * 8;
const SEGMENT_SIZE: i32 = GAUGE_OFFSET + 8;
const MINIMUM: i32 = TYPE_COUNT;
const MAXIMUM: i32 = TYPE_COUNT + 1;
const LATEST: i32 = TYPE_COUNT + 2;
const FIELD_COUNT: i32 = TYPE_COUNT + 3;

let failed: i32 = 0;

function check(step: i32, holds: bool): void {
  if (failed === OK && !holds) failed = step;
}

/** The bits of a value at a limit of `type`: another size, sign or byte order reads another one. */
function limitOf(type: i32): u64 {
  if (type >= TYPE_F64_LE) return 1; // The smallest float64.
  if (type >= TYPE_F32_LE) return 0x7f7fffff; // The largest float32.
  const bits = sizeOfType(type) << 3;
  // Signed: -2^(bits - 1); in their codes the bit of value 2 is clear. Unsigned: 2^bits - 2.
  if (type !== TYPE_U8 && (type & 2) === 0) return -1 << (bits - 1);
  return (<u64>-1 >> (64 - bits)) - 1;
}

/** Writes a row byte by byte, so that it shares no code with what reads it. */
function write(row: i32, gauge: i64): void {
  const target = stage() + row * SEGMENT_SIZE;
  for (let type = 0; type < TYPE_COUNT; type++) {
    let value = limitOf(type);
    const size = sizeOfType(type);
    const last = type >= TYPE_U16_LE && (type & 1) !== 0 ? size - 1 : 0;
    for (let i = 0; i < size; i++, value >>= 8) {
      store<u8>(target + (type << 3) + (i ^ last), value);
    }
  }
  store<i64>(target, gauge, GAUGE_OFFSET);
}

/** Checks that the first results are `times` the limits. */
function expect(step: i32, times: i32): void {
  for (let type = 0; type < TYPE_COUNT; type++) {
    const limit = limitOf(type);
    const low = limit * times;
    let kind: i32 = RESULT_INTEGER;
    let unit = <f64>(<i64>limit);
    let high: i64 = <i64>low >> 63;
    if (isFloat(type)) {
      kind = RESULT_FLOAT;
      unit = type < TYPE_F64_LE ? reinterpret<f32>(<u32>limit) : reinterpret<f64>(limit);
    } else if (type >= TYPE_U64_LE) {
      // times × (2^64 - 2) and times × -2^63.
      kind = RESULT_WIDE;
      if (type <= TYPE_U64_BE) unit = <f64>limit;
      high = type <= TYPE_U64_BE ? times - 1 : -times >> 1;
    }
    const result = results() + type * RESULT_BYTES;
    check(step, load<f64>(result, RESULT_KIND) === kind);
    check(step, load<f64>(result, RESULT_VALUE) === unit * times);
    if (type >= TYPE_F32_LE) continue;
    check(step, load<u64>(result, RESULT_LOW) === low);
    check(step, load<i64>(result, RESULT_HIGH) === high);
  }
}

function gauge(index: i32): f64 {
  return load<f64>(results() + index * RESULT_BYTES, RESULT_VALUE);
}

/**
 * Runs a fixed scenario on a fresh instance: OK, or the number of the first step that failed;
 * BAD_ARGUMENT after `init`. The instance is spent then: it has been through `init`.
 */
export function selftest(): i32 {
  const status = init(SEGMENT_SIZE);
  if (status !== OK) return status;

  // 1: a schema.
  for (let i = 0; i < FIELD_COUNT; i++) {
    const isGauge = i >= TYPE_COUNT;
    check(1, accumulator(isGauge ? i - MINIMUM + MIN : COUNTER) === i);
    const row = <usize>rows(FIELD_COUNT) + i * ROW_BYTES;
    store<i32>(row, isGauge ? TYPE_S64_LE : i, ROW_TYPE);
    store<i32>(row, isGauge ? GAUGE_OFFSET : i << 3, ROW_OFFSET);
    store<i32>(row, i, ROW_ACCUMULATOR);
  }
  check(1, group(FIELD_COUNT) === 0);

  // 2: three segments, handed out in order.
  check(2, grow(3) === OK);
  for (let worker = 0; worker < 3; worker++) {
    check(2, allocate(worker, 0) === worker);
    check(2, attach(worker, 0) === OK);
  }
  check(2, allocate(3, 0) === NONE);
  check(2, find(2) === 2);

  // 3: each type, decoded.
  write(0, 3);
  check(3, decode(0) === FIELD_COUNT);
  expect(3, 1);

  // 4: sums beyond 64 bits in two batches; the smallest, the largest and the last.
  write(1, -5);
  check(4, accumulate(0, LIVE, 0, 2) === OK);
  write(0, -1);
  check(4, accumulate(0, LIVE, 2, 1) === OK);
  finish(SAMPLE);
  expect(4, 3);
  check(4, gauge(MINIMUM) === -5 && gauge(MAXIMUM) === 3 && gauge(LATEST) === -1);

  // 5: a detached segment leaves samples and stays in totals. The last member took its place.
  check(5, detach(0) === OK);
  check(5, oldest(0) === 2);
  reset();
  check(5, accumulate(0, LIVE, 0, 2) === OK);
  check(5, accumulate(0, DETACHED, 0, 1) === OK);
  finish(SAMPLE);
  expect(5, 2);
  check(5, gauge(LATEST) === -1);
  finish(TOTALS);
  expect(5, 3);

  // 6: so do retired counters, until they are taken out.
  check(6, retire(0, 1) === OK);
  check(6, free(0, 0) === OK);
  reset();
  check(6, accumulate(0, LIVE, 0, 2) === OK);
  finish(TOTALS);
  expect(6, 3);
  check(6, retire(0, -1) === OK);
  finish(TOTALS);
  expect(6, 2);

  // 7: segments are handed out in the order in which they were freed, and not before their time.
  check(7, free(2, 1) === OK);
  check(7, oldest(0) === 2);
  check(7, available() === 2 && next(NONE) === 0 && next(0) === 2);
  check(7, allocate(4, 0) === 0);
  check(7, allocate(5, 0) === NONE);
  check(7, allocate(5, 1) === 2);
  return failed;
}
