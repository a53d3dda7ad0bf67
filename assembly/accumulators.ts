// One accumulator per (service, field): what the live workers have now, what the detached ones
// have, and what the dead ones had. Integers are exact to 128 bits.

import {
  ACCUMULATOR_AGGREGATE,
  ACCUMULATOR_BYTES,
  ACCUMULATOR_DETACHED,
  ACCUMULATOR_LIVE,
  ACCUMULATOR_RETIRED,
  ACCUMULATOR_USED,
  AGGREGATE_COUNT,
  BAD_ARGUMENT,
  BANK_FLOAT,
  BANK_HIGH,
  BANK_LOW,
  BANK_PARTS,
  COUNTER,
  LIVE,
  NONE,
  OK,
  OUT_OF_MEMORY,
  PART_FLOAT,
  PART_INTEGER,
  RESULT_BYTES,
  RESULT_FLOAT,
  RESULT_HIGH,
  RESULT_INTEGER,
  RESULT_KIND,
  RESULT_LOW,
  RESULT_NONE,
  RESULT_VALUE,
  RESULT_WIDE,
  SUM,
  TOTALS,
} from "./layout";
import { extend } from "./memory";

let accumulatorTable: usize = 0;
let accumulatorCount: i32 = 0;
/** A forgotten accumulator keeps the index of the next forgotten one as its aggregate. */
let firstForgotten: i32 = -1;

let resultTable: usize = 0;
let resultCapacity: i32 = 0;

export function accumulatorAt(accumulator: i32): usize {
  return accumulatorTable + accumulator * ACCUMULATOR_BYTES;
}

export function isAccumulator(accumulator: i32): bool {
  if (<u32>accumulator >= <u32>accumulatorCount) return false;
  return load<i32>(accumulatorAt(accumulator), ACCUMULATOR_USED) !== 0;
}

/** Whether the values of a LIVE or DETACHED `list` are added up: of detached workers, counters. */
export function isSummed(accumulator: i32, list: i32): bool {
  const aggregate = load<i32>(accumulatorAt(accumulator), ACCUMULATOR_AGGREGATE);
  return aggregate === COUNTER || (aggregate === SUM && list === LIVE);
}

/** Makes room for `count` RESULTs; false when memory cannot grow. */
export function reserveResults(count: i32): bool {
  const table = extend(resultTable, resultCapacity * RESULT_BYTES, count * RESULT_BYTES);
  if (table === 0) return false;
  resultTable = table;
  if (count > resultCapacity) resultCapacity = count;
  return true;
}

/** Address of the RESULT records. */
export function results(): usize {
  return resultTable;
}

/** A new accumulator for values that are combined by `aggregate`; its index. */
export function accumulator(aggregate: i32): i32 {
  if (<u32>aggregate >= <u32>AGGREGATE_COUNT) return BAD_ARGUMENT;
  let index = firstForgotten;
  if (index !== NONE) {
    firstForgotten = load<i32>(accumulatorAt(index), ACCUMULATOR_AGGREGATE);
  } else {
    const bytes = accumulatorCount * ACCUMULATOR_BYTES;
    if (!reserveResults(accumulatorCount + 1)) return OUT_OF_MEMORY;
    const table = extend(accumulatorTable, bytes, bytes + ACCUMULATOR_BYTES);
    if (table === 0) return OUT_OF_MEMORY;
    accumulatorTable = table;
    index = accumulatorCount++;
  }
  const record = accumulatorAt(index);
  memory.fill(record, 0, ACCUMULATOR_BYTES);
  store<i32>(record, aggregate, ACCUMULATOR_AGGREGATE);
  store<i32>(record, 1, ACCUMULATOR_USED);
  return index;
}

/** Combines the values of an accumulator by another `aggregate` from now on. */
export function define(accumulator: i32, aggregate: i32): i32 {
  if (!isAccumulator(accumulator) || <u32>aggregate >= <u32>AGGREGATE_COUNT) return BAD_ARGUMENT;
  store<i32>(accumulatorAt(accumulator), aggregate, ACCUMULATOR_AGGREGATE);
  return OK;
}

/**
 * Forgets an accumulator and what it has retired; its index may be given out again. No group
 * that refers to it may be left.
 */
export function forget(accumulator: i32): i32 {
  if (!isAccumulator(accumulator)) return BAD_ARGUMENT;
  const record = accumulatorAt(accumulator);
  store<i32>(record, 0, ACCUMULATOR_USED);
  store<i32>(record, firstForgotten, ACCUMULATOR_AGGREGATE);
  firstForgotten = accumulator;
  return OK;
}

/** Address of the BANK of what an accumulator has retired: a host may keep it and put it back. */
export function retired(accumulator: i32): i32 {
  if (!isAccumulator(accumulator)) return BAD_ARGUMENT;
  return <i32>(accumulatorAt(accumulator) + ACCUMULATOR_RETIRED);
}

/** Clears what `accumulate` has gathered, before the first group of a new sample. */
export function reset(): void {
  const end = accumulatorAt(accumulatorCount);
  for (let record = accumulatorTable; record < end; record += ACCUMULATOR_BYTES) {
    memory.fill(record + ACCUMULATOR_LIVE, 0, ACCUMULATOR_RETIRED - ACCUMULATOR_LIVE);
  }
}

/** Adds a 128-bit integer. */
export function addInteger(bank: usize, low: u64, high: i64): void {
  const sum = load<u64>(bank, BANK_LOW) + low;
  const carry: i64 = sum < low ? 1 : 0;
  store<u64>(bank, sum, BANK_LOW);
  store<i64>(bank, load<i64>(bank, BANK_HIGH) + high + carry, BANK_HIGH);
  store<i32>(bank, load<i32>(bank, BANK_PARTS) | PART_INTEGER, BANK_PARTS);
}

export function setFloat(bank: usize, value: f64): void {
  store<f64>(bank, value, BANK_FLOAT);
  store<i32>(bank, load<i32>(bank, BANK_PARTS) | PART_FLOAT, BANK_PARTS);
}

/** The nearest float64 of a 128-bit integer, ties to even. */
export function toFloat(low: u64, high: i64): f64 {
  if (high === <i64>low >> 63) return <f64>(<i64>low);
  const negative = high < 0;
  if (negative) {
    low = -low;
    high = ~high + (low === 0 ? 1 : 0);
  }
  if (high === 0) return negative ? -(<f64>low) : <f64>low;
  // The top 64 bits, with a last bit that says whether anything below them is set.
  const shift = 64 - clz<i64>(high);
  const rest = low << (64 - shift);
  let top: u64 = shift === 64 ? <u64>high : ((<u64>high) << (64 - shift)) | (low >> shift);
  if ((shift === 64 ? low : rest) !== 0) top |= 1;
  // 2^shift, an exact float64, built from its exponent.
  const value = <f64>top * reinterpret<f64>((<u64>(1023 + shift)) << 52);
  return negative ? -value : value;
}

const SAFE: u64 = 1 << 53;

export function writeResult(index: i32, parts: i32, low: u64, high: i64, float: f64): void {
  const result = resultTable + index * RESULT_BYTES;
  let kind: i32 = RESULT_NONE;
  let value: f64 = 0;
  if (parts === PART_INTEGER) {
    value = toFloat(low, high);
    const safe = low + SAFE <= SAFE * 2 && high === <i64>low >> 63;
    kind = safe ? RESULT_INTEGER : RESULT_WIDE;
  } else if (parts !== 0) {
    value = parts === PART_FLOAT ? float : toFloat(low, high) + float;
    kind = RESULT_FLOAT;
  }
  store<f64>(result, kind, RESULT_KIND);
  store<f64>(result, value, RESULT_VALUE);
  store<u64>(result, low, RESULT_LOW);
  store<i64>(result, high, RESULT_HIGH);
}

/**
 * Writes one RESULT per accumulator index: SAMPLE the live aggregates, TOTALS the counters of
 * live, detached and retired workers. RESULT_NONE where no value was gathered.
 */
export function finish(what: i32): void {
  for (let index = 0; index < accumulatorCount; index++) {
    const record = accumulatorAt(index);
    if (load<i32>(record, ACCUMULATOR_USED) === 0) {
      writeResult(index, 0, 0, 0, 0);
      continue;
    }
    let bank = record + ACCUMULATOR_LIVE;
    if (what !== TOTALS) {
      writeResult(
        index,
        load<i32>(bank, BANK_PARTS),
        load<u64>(bank, BANK_LOW),
        load<i64>(bank, BANK_HIGH),
        load<f64>(bank, BANK_FLOAT),
      );
      continue;
    }
    let parts = 0;
    let low: u64 = 0;
    let high: i64 = 0;
    let float: f64 = 0;
    if (load<i32>(record, ACCUMULATOR_AGGREGATE) === COUNTER) {
      const end = record + ACCUMULATOR_BYTES;
      for (; bank < end; bank += ACCUMULATOR_DETACHED - ACCUMULATOR_LIVE) {
        parts |= load<i32>(bank, BANK_PARTS);
        const added = load<u64>(bank, BANK_LOW);
        low += added;
        high += load<i64>(bank, BANK_HIGH) + (low < added ? 1 : 0);
        float += load<f64>(bank, BANK_FLOAT);
      }
    }
    writeResult(index, parts, low, high, float);
  }
}
