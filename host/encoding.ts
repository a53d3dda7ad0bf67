import { type FieldType, isBigEndian, isInteger, isSigned, sizeOf } from "./field_type.ts";

const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);

/**
 * The bytes of a value, by the rules of Ruby's `IO::Buffer#set_value`: fractions are dropped; up to
 * 32 bits, what fits a C int (or unsigned int) is taken and wraps to the size of the type; 64-bit
 * values must fit 64 bits, and below zero wrap in unsigned types; floats are rounded. Anything that
 * goes beyond is a RangeError, anything that is no number a TypeError.
 *
 * The bytes are valid until the next call.
 */
export function encode(type: FieldType, value: unknown): Uint8Array {
  if (typeof value !== "number" && typeof value !== "bigint") {
    throw new TypeError(`Cannot write a value of type ${value === null ? "null" : typeof value}`);
  }
  const size = sizeOf(type);
  const littleEndian = !isBigEndian(type);
  if (!isInteger(type)) {
    if (size === 4) scratch.setFloat32(0, Number(value), littleEndian);
    else scratch.setFloat64(0, Number(value), littleEndian);
  } else {
    const integer = toInteger(type, value);
    // Every setter keeps the low bits only, as C does.
    if (size === 1) scratch.setUint8(0, Number(integer));
    else if (size === 2) scratch.setUint16(0, Number(integer), littleEndian);
    else if (size === 4) scratch.setUint32(0, Number(integer), littleEndian);
    else scratch.setBigUint64(0, integer, littleEndian);
  }
  return scratchBytes.subarray(0, size);
}

/** Reads a value: a bigint for 64-bit integers, else a number. */
export function decode(type: FieldType, bytes: Uint8Array): number | bigint {
  scratchBytes.set(bytes);
  return decodeAt(type, scratch, 0);
}

/** The same at an offset. Of memory that others write to, half a value may be read. */
export function decodeAt(type: FieldType, view: DataView, offset: number): number | bigint {
  const littleEndian = !isBigEndian(type);
  switch (type) {
    case "U8":
      return view.getUint8(offset);
    case "S8":
      return view.getInt8(offset);
    case "u16":
    case "U16":
      return view.getUint16(offset, littleEndian);
    case "s16":
    case "S16":
      return view.getInt16(offset, littleEndian);
    case "u32":
    case "U32":
      return view.getUint32(offset, littleEndian);
    case "s32":
    case "S32":
      return view.getInt32(offset, littleEndian);
    case "u64":
    case "U64":
      return view.getBigUint64(offset, littleEndian);
    case "s64":
    case "S64":
      return view.getBigInt64(offset, littleEndian);
    case "f32":
    case "F32":
      return view.getFloat32(offset, littleEndian);
    case "f64":
    case "F64":
      return view.getFloat64(offset, littleEndian);
  }
}

/** The C type that Ruby converts to: int, unsigned int, long long or unsigned long long. */
function toInteger(type: FieldType, value: number | bigint): bigint {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new RangeError(`Cannot write ${value} as ${type}: it is not an integer`);
  }
  const integer = typeof value === "number" ? BigInt(Math.trunc(value)) : value;
  const bits = sizeOf(type) === 8 ? 64n : 32n;
  const minimum = -(1n << (bits - 1n));
  const maximum = isSigned(type) ? -minimum - 1n : (1n << bits) - 1n;
  if (integer < minimum || integer > maximum) {
    throw new RangeError(`Cannot write ${value} as ${type}: it is not in ${minimum}..${maximum}`);
  }
  return integer;
}
