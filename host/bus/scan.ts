import { LimitError, ProtocolError } from "./errors.ts";
import { CLASS, EXCEPTION, PROXY, REFERENCE, SYMBOL } from "./values.ts";

/** How deep arrays, maps and extensions may lie in each other. */
export const MAX_NESTING = 32;

/**
 * How many values a frame may hold: real ones have more than eight bytes a value. A frame of empty
 * maps, one byte each, would take half a second and 250 times its size.
 */
export const MAX_VALUES: number = 128 * 1024;

/** How many values the payload of an extension holds. Zero: none, it is text. */
const EXTENSION_VALUES: ReadonlyMap<number, number> = new Map([
  [PROXY, 1],
  [SYMBOL, 0],
  [EXCEPTION, 3],
  [CLASS, 0],
  [REFERENCE, 1],
]);

/** An array, map or extension that the scan is inside of. */
interface Level {
  /** Values still to come. */
  left: number;
  /** Where its bytes must have ended: its own payload's end, or that of what it is in. */
  readonly end: number;
  /** An extension says how long it is, and has to fill that. */
  readonly fills: boolean;
}

/**
 * Checks a run of MessagePack values before anything is allocated for them: lengths fit the bytes,
 * extensions are known and hold the right number of values, there are not too many values, nothing
 * is nested too deep, nothing is cut off. Without this, thirteen bytes can claim 4294967295 elements.
 */
export function scan(bytes: Uint8Array, maxNesting: number, maxValues: number = MAX_VALUES): void {
  const levels: Level[] = [{ left: Number.POSITIVE_INFINITY, end: bytes.length, fills: true }];
  let level = levels[0]!;
  let position = 0;
  let count = 0;

  const skip = (size: number): void => {
    if (size > level.end - position) {
      throw new ProtocolError(`Cannot read ${size} bytes: ${level.end - position} are left`);
    }
    position += size;
  };

  const length = (width: 1 | 2 | 4): number => {
    const start = position;
    skip(width);
    let value = 0;
    for (let index = start; index < position; index++) value = value * 256 + bytes[index]!;
    return value;
  };

  const enter = (left: number, end: number, fills: boolean): void => {
    if (levels.length > maxNesting) {
      throw new LimitError(`Cannot read nested values: limit is ${maxNesting} levels`, "nesting");
    }
    level = { left, end, fills };
    levels.push(level);
  };

  const elements = (count: number): void => {
    // A value is at least one byte.
    if (count > level.end - position) {
      throw new ProtocolError(
        `Cannot read ${count} values: ${level.end - position} bytes are left`,
      );
    }
    enter(count, level.end, false);
  };

  const extension = (size: number): void => {
    const type = length(1);
    const values = EXTENSION_VALUES.get(type);
    if (values === undefined) {
      throw new ProtocolError(`Cannot read extension of unknown type ${type}`);
    }
    const start = position;
    skip(size);
    if (values > 0) {
      position = start;
      enter(values, start + size, true);
    }
  };

  for (;;) {
    while (level.left === 0) {
      if (level.fills && position !== level.end) {
        throw new ProtocolError(`Cannot read extension: ${level.end - position} bytes too many`);
      }
      levels.pop();
      level = levels[levels.length - 1]!;
    }
    if (levels.length === 1 && position === bytes.length) return;

    if (++count > maxValues) {
      throw new LimitError(`Cannot read values: limit is ${maxValues} values`, "values");
    }
    level.left--;
    const head = length(1);
    if (head < 0x80 || head >= 0xe0) continue;
    if (head < 0x90) elements(2 * (head & 0x0f));
    else if (head < 0xa0) elements(head & 0x0f);
    else if (head < 0xc0) skip(head & 0x1f);
    else if (head >= 0xd4 && head <= 0xd8) extension(1 << (head - 0xd4));
    else {
      switch (head) {
        case 0xc0: // nil
        case 0xc2: // false
        case 0xc3: // true
          break;
        case 0xcc: // uint8
        case 0xd0: // int8
          skip(1);
          break;
        case 0xcd: // uint16
        case 0xd1: // int16
          skip(2);
          break;
        case 0xca: // float32
        case 0xce: // uint32
        case 0xd2: // int32
          skip(4);
          break;
        case 0xcb: // float64
        case 0xcf: // uint64
        case 0xd3: // int64
          skip(8);
          break;
        case 0xc4: // bin8
        case 0xd9: // str8
          skip(length(1));
          break;
        case 0xc5: // bin16
        case 0xda: // str16
          skip(length(2));
          break;
        case 0xc6: // bin32
        case 0xdb: // str32
          skip(length(4));
          break;
        case 0xc7: // ext8
          extension(length(1));
          break;
        case 0xc8: // ext16
          extension(length(2));
          break;
        case 0xc9: // ext32
          extension(length(4));
          break;
        case 0xdc: // array16
          elements(length(2));
          break;
        case 0xdd: // array32
          elements(length(4));
          break;
        case 0xde: // map16
          elements(2 * length(2));
          break;
        case 0xdf: // map32
          elements(2 * length(4));
          break;
        default: // 0xc1, the one byte that MessagePack never uses
          throw new ProtocolError(`Cannot read value: byte 0x${head.toString(16)} starts none`);
      }
    }
  }
}
