// 64-bit fields that lie next to each other, two or four of them summed at once. In
// `core.simd.wasm` only: without vectors it is no faster than one after the other.

import { accumulatorAt, isSummed, setFloat } from "./accumulators";
import {
  BANK_FLOAT,
  ROW_ACCUMULATOR,
  ROW_BYTES,
  ROW_OFFSET,
  ROW_TYPE,
  TYPE_F64_LE,
  TYPE_U64_LE,
} from "./layout";
import { addWide } from "./sums";

/** How many fields, from that of `operation` on, `sumNeighbours` can take: 4, 2, or 1 for none. */
export function neighbours(operation: usize, end: usize, list: i32): i32 {
  const type = load<i32>(operation, ROW_TYPE);
  if (type !== TYPE_U64_LE && type !== TYPE_F64_LE) return 1;
  let count = 1;
  for (; count < 4; count++, operation += ROW_BYTES) {
    const next = operation + ROW_BYTES;
    if (next >= end || load<i32>(next, ROW_TYPE) !== type) break;
    if (load<i32>(next, ROW_OFFSET) !== load<i32>(operation, ROW_OFFSET) + 8) break;
    const accumulator = load<i32>(next, ROW_ACCUMULATOR);
    // In rising order no two are the same: sums of floats in one bank depend on their order.
    if (accumulator <= load<i32>(operation, ROW_ACCUMULATOR) || !isSummed(accumulator, list)) break;
  }
  return count === 3 ? 2 : count;
}

/**
 * As `sum`, for the `count` fields from that of `operation` on, of which the first is at `address`.
 * `bank` is the offset of the bank in their accumulators.
 */
export function sumNeighbours(
  count: i32,
  operation: usize,
  bank: usize,
  address: usize,
  end: usize,
  stride: usize,
): void {
  if (load<i32>(operation, ROW_TYPE) === TYPE_F64_LE) {
    if (count === 4) sumFourFloats(operation, bank, address, end, stride);
    else sumTwoFloats(operation, bank, address, end, stride);
  } else if (count === 4) {
    sumFour(operation, bank, address, end, stride);
  } else {
    sumTwo(operation, bank, address, end, stride);
  }
}

function sumTwo(operation: usize, bank: usize, address: usize, end: usize, stride: usize): void {
  let result = i64x2.splat(0);
  let upper = i64x2.splat(0);
  for (; address < end; address += stride) {
    const values = v128.load(address);
    result = i64x2.add(result, values);
    upper = i64x2.add(upper, i64x2.shr_u(values, 32));
  }
  addTwo(operation, bank, result, upper);
}

function sumFour(operation: usize, bank: usize, address: usize, end: usize, stride: usize): void {
  let result = i64x2.splat(0);
  let upper = i64x2.splat(0);
  let secondResult = i64x2.splat(0);
  let secondUpper = i64x2.splat(0);
  for (; address < end; address += stride) {
    const values = v128.load(address);
    result = i64x2.add(result, values);
    upper = i64x2.add(upper, i64x2.shr_u(values, 32));
    const second = v128.load(address, 16);
    secondResult = i64x2.add(secondResult, second);
    secondUpper = i64x2.add(secondUpper, i64x2.shr_u(second, 32));
  }
  addTwo(operation, bank, result, upper);
  addTwo(operation + 2 * ROW_BYTES, bank, secondResult, secondUpper);
}

function addTwo(operation: usize, bank: usize, result: v128, upper: v128): void {
  addLane(operation, bank, i64x2.extract_lane(result, 0), i64x2.extract_lane(upper, 0));
  const next = operation + ROW_BYTES;
  addLane(next, bank, i64x2.extract_lane(result, 1), i64x2.extract_lane(upper, 1));
}

function addLane(operation: usize, bank: usize, sum: u64, upper: u64): void {
  addWide(bankOf(operation, bank), sum, upper, upper >> 32);
}

function sumTwoFloats(
  operation: usize,
  bank: usize,
  address: usize,
  end: usize,
  stride: usize,
): void {
  let result = floatsOf(operation, bank);
  for (; address < end; address += stride) result = f64x2.add(result, v128.load(address));
  setFloats(operation, bank, result);
}

function sumFourFloats(
  operation: usize,
  bank: usize,
  address: usize,
  end: usize,
  stride: usize,
): void {
  const second = operation + 2 * ROW_BYTES;
  let result = floatsOf(operation, bank);
  let secondResult = floatsOf(second, bank);
  for (; address < end; address += stride) {
    result = f64x2.add(result, v128.load(address));
    secondResult = f64x2.add(secondResult, v128.load(address, 16));
  }
  setFloats(operation, bank, result);
  setFloats(second, bank, secondResult);
}

function floatsOf(operation: usize, bank: usize): v128 {
  const first = load<f64>(bankOf(operation, bank), BANK_FLOAT);
  return f64x2(first, load<f64>(bankOf(operation + ROW_BYTES, bank), BANK_FLOAT));
}

function setFloats(operation: usize, bank: usize, values: v128): void {
  setFloat(bankOf(operation, bank), f64x2.extract_lane(values, 0));
  setFloat(bankOf(operation + ROW_BYTES, bank), f64x2.extract_lane(values, 1));
}

function bankOf(operation: usize, bank: usize): usize {
  return accumulatorAt(load<i32>(operation, ROW_ACCUMULATOR)) + bank;
}
