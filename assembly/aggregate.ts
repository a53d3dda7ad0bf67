// Decodes staged rows by the operations of their group.

import {
  accumulatorAt,
  addInteger,
  isSummed,
  setFloat,
  toFloat,
  writeResult,
} from "./accumulators";
import { groupAt, isGroup, momentOf, stage } from "./groups";
import {
  ACCUMULATOR_AGGREGATE,
  ACCUMULATOR_DETACHED,
  ACCUMULATOR_LIVE,
  ACCUMULATOR_MOMENT,
  ACCUMULATOR_RETIRED,
  BAD_ARGUMENT,
  BANK_FLOAT,
  BANK_HIGH,
  BANK_LOW,
  BANK_PARTS,
  COUNTER,
  DETACHED,
  GROUP_BATCH,
  GROUP_COUNT,
  GROUP_DETACHED,
  GROUP_LIVE,
  GROUP_OPERATIONS,
  GROUP_WORDS,
  LAST,
  LIVE,
  MEMBERS_COUNT,
  MEMBERS_POINTER,
  MIN,
  OK,
  PART_FLOAT,
  PART_INTEGER,
  ROW_ACCUMULATOR,
  ROW_BYTES,
  ROW_OFFSET,
  ROW_TYPE,
} from "./layout";
import { neighbours, sumNeighbours } from "./neighbours";
import { sum } from "./sums";
import { integerHigh, integerLow, isFloat, readFloat, readInteger } from "./types";

/**
 * Adds `rows` staged rows, which are the members `first`, `first` + 1, … of the LIVE or DETACHED
 * `list` of a group, to the accumulators. Detached rows count for counters only.
 */
export function accumulate(group: i32, list: i32, first: i32, rows: i32): i32 {
  if (!isGroup(group) || (list !== LIVE && list !== DETACHED)) return BAD_ARGUMENT;
  const record = groupAt(group);
  const members = record + (list === LIVE ? GROUP_LIVE : GROUP_DETACHED);
  if (first < 0 || rows < 0 || rows > load<i32>(record, GROUP_BATCH)) return BAD_ARGUMENT;
  if (<i64>first + rows > load<i32>(members, MEMBERS_COUNT)) return BAD_ARGUMENT;

  const bank = list === LIVE ? ACCUMULATOR_LIVE : ACCUMULATOR_DETACHED;
  const stride = load<u32>(record, GROUP_WORDS) << 3;
  const bytes = rows * stride;
  const operations = load<usize>(record, GROUP_OPERATIONS);
  const end = operations + load<i32>(record, GROUP_COUNT) * ROW_BYTES;
  let count = 1;
  for (let operation = operations; operation < end; operation += count * ROW_BYTES) {
    count = 1;
    const index = load<i32>(operation, ROW_ACCUMULATOR);
    const accumulator = accumulatorAt(index);
    const type = load<i32>(operation, ROW_TYPE);
    const address = stage() + load<u32>(operation, ROW_OFFSET);
    if (!isSummed(index, list)) {
      if (list !== LIVE) continue;
      const offsets = load<usize>(members, MEMBERS_POINTER) + (first << 2);
      const aggregate = load<i32>(accumulator, ACCUMULATOR_AGGREGATE);
      select(accumulator, aggregate, type, address, address + bytes, stride, offsets);
      continue;
    }
    if (ASC_FEATURE_SIMD) {
      count = neighbours(operation, end, list);
      if (count > 1) {
        sumNeighbours(count, operation, bank, address, address + bytes, stride);
        continue;
      }
    }
    sum(accumulator + bank, type, address, address + bytes, stride);
  }
  return OK;
}

/** Keeps the smallest, the largest or the last registered value in the live bank. */
function select(
  accumulator: usize,
  aggregate: i32,
  type: i32,
  address: usize,
  end: usize,
  stride: usize,
  offsets: usize,
): void {
  const bank = accumulator + ACCUMULATOR_LIVE;
  const float = isFloat(type);
  for (; address < end; address += stride, offsets += 4) {
    let value: f64 = 0;
    if (float) value = readFloat(type, address);
    else readInteger(type, address);
    if (aggregate === LAST) {
      const moment = momentOf(load<i32>(offsets));
      const parts = load<i32>(bank, BANK_PARTS);
      if (parts !== 0 && moment < load<f64>(accumulator, ACCUMULATOR_MOMENT)) continue;
      store<f64>(accumulator, moment, ACCUMULATOR_MOMENT);
    } else if (!beats(bank, aggregate === MIN, float, value)) {
      continue;
    }
    store<u64>(bank, float ? 0 : integerLow, BANK_LOW);
    store<i64>(bank, float ? 0 : integerHigh, BANK_HIGH);
    store<f64>(bank, float ? value : 0, BANK_FLOAT);
    store<i32>(bank, float ? PART_FLOAT : PART_INTEGER, BANK_PARTS);
  }
}

/** Whether the value just read replaces the one in the bank. NaN never replaces anything. */
function beats(bank: usize, smallest: bool, float: bool, value: f64): bool {
  const parts = load<i32>(bank, BANK_PARTS);
  if (parts === 0) return true;
  const low = load<u64>(bank, BANK_LOW);
  const high = load<i64>(bank, BANK_HIGH);
  if (parts === PART_INTEGER && !float) {
    if (high !== integerHigh) return integerHigh < high === smallest;
    return low !== integerLow && integerLow < low === smallest;
  }
  const held = parts === PART_FLOAT ? load<f64>(bank, BANK_FLOAT) : toFloat(low, high);
  const offered = float ? value : toFloat(integerLow, integerHigh);
  if (isNaN<f64>(held)) return !isNaN<f64>(offered);
  return smallest ? offered < held : offered > held;
}

/**
 * Writes one RESULT per field of the group, in schema order, for the row in the stage: the view
 * of one worker. Returns the number of fields.
 */
export function decode(group: i32): i32 {
  if (!isGroup(group)) return BAD_ARGUMENT;
  const record = groupAt(group);
  const count = load<i32>(record, GROUP_COUNT);
  let operation = load<usize>(record, GROUP_OPERATIONS);
  for (let i = 0; i < count; i++, operation += ROW_BYTES) {
    const type = load<i32>(operation, ROW_TYPE);
    const address = stage() + load<u32>(operation, ROW_OFFSET);
    if (isFloat(type)) {
      writeResult(i, PART_FLOAT, 0, 0, readFloat(type, address));
    } else {
      readInteger(type, address);
      writeResult(i, PART_INTEGER, integerLow, integerHigh, 0);
    }
  }
  return count;
}

/**
 * Adds the counters of the row in the stage to the retired base of their accumulators, or, with
 * a negative `sign`, takes them out again. A float that is not finite is left out: one NaN would
 * make the total useless for ever.
 */
export function retire(group: i32, sign: i32): i32 {
  if (!isGroup(group)) return BAD_ARGUMENT;
  const record = groupAt(group);
  const operations = load<usize>(record, GROUP_OPERATIONS);
  const end = operations + load<i32>(record, GROUP_COUNT) * ROW_BYTES;
  for (let operation = operations; operation < end; operation += ROW_BYTES) {
    const accumulator = accumulatorAt(load<i32>(operation, ROW_ACCUMULATOR));
    if (load<i32>(accumulator, ACCUMULATOR_AGGREGATE) !== COUNTER) continue;
    const bank = accumulator + ACCUMULATOR_RETIRED;
    const type = load<i32>(operation, ROW_TYPE);
    const address = stage() + load<u32>(operation, ROW_OFFSET);
    if (isFloat(type)) {
      const value = readFloat(type, address);
      if (value - value !== 0) continue;
      setFloat(bank, load<f64>(bank, BANK_FLOAT) + (sign < 0 ? -value : value));
    } else {
      readInteger(type, address);
      if (sign < 0) {
        addInteger(bank, -integerLow, ~integerHigh + (integerLow === 0 ? 1 : 0));
      } else {
        addInteger(bank, integerLow, integerHigh);
      }
    }
  }
  return OK;
}
