// The 18 field types: their sizes, and the value of one field.

import {
  TYPE_F32_BE,
  TYPE_F32_LE,
  TYPE_F64_BE,
  TYPE_F64_LE,
  TYPE_S8,
  TYPE_S16_BE,
  TYPE_S16_LE,
  TYPE_S32_BE,
  TYPE_S32_LE,
  TYPE_S64_BE,
  TYPE_S64_LE,
  TYPE_U8,
  TYPE_U16_BE,
  TYPE_U16_LE,
  TYPE_U32_BE,
  TYPE_U32_LE,
  TYPE_U64_BE,
  TYPE_U64_LE,
} from "./layout";

/** Bytes of a field of `type`: the codes are grouped by size, floats at the end. */
export function sizeOfType(type: i32): i32 {
  if (type <= TYPE_S8) return 1;
  if (type <= TYPE_S16_BE) return 2;
  if (type <= TYPE_S32_BE) return 4;
  if (type <= TYPE_S64_BE) return 8;
  return type <= TYPE_F32_BE ? 4 : 8;
}

export function isFloat(type: i32): bool {
  return type >= TYPE_F32_LE;
}

// The integer that `readInteger` has read, as 128 bits in two's complement.
export let integerLow: u64 = 0;
export let integerHigh: i64 = 0;

/** Reads the integer field at `address` into `integerLow` and `integerHigh`. */
export function readInteger(type: i32, address: usize): void {
  let value: i64 = 0;
  switch (type) {
    case TYPE_U8:
      value = load<u8>(address);
      break;
    case TYPE_S8:
      value = load<i8>(address);
      break;
    case TYPE_U16_LE:
      value = load<u16>(address);
      break;
    case TYPE_U16_BE:
      value = bswap<u16>(load<u16>(address));
      break;
    case TYPE_S16_LE:
      value = load<i16>(address);
      break;
    case TYPE_S16_BE:
      value = bswap<i16>(load<i16>(address));
      break;
    case TYPE_U32_LE:
      value = load<u32>(address);
      break;
    case TYPE_U32_BE:
      value = bswap<u32>(load<u32>(address));
      break;
    case TYPE_S32_LE:
      value = load<i32>(address);
      break;
    case TYPE_S32_BE:
      value = bswap<i32>(load<i32>(address));
      break;
    case TYPE_U64_LE:
    case TYPE_S64_LE:
      value = load<i64>(address);
      break;
    case TYPE_U64_BE:
    case TYPE_S64_BE:
      value = bswap<i64>(load<i64>(address));
      break;
  }
  integerLow = value;
  integerHigh = type === TYPE_U64_LE || type === TYPE_U64_BE ? 0 : value >> 63;
}

/** The float field at `address`. */
export function readFloat(type: i32, address: usize): f64 {
  switch (type) {
    case TYPE_F32_LE:
      return load<f32>(address);
    case TYPE_F32_BE:
      return reinterpret<f32>(bswap<u32>(load<u32>(address)));
    case TYPE_F64_LE:
      return load<f64>(address);
    case TYPE_F64_BE:
      return reinterpret<f64>(bswap<u64>(load<u64>(address)));
  }
  return 0;
}
