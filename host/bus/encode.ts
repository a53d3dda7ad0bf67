import { Encoder } from "@msgpack/msgpack";
import { MAX_NESTING } from "./scan.ts";
import {
  CLASS,
  EXCEPTION,
  ObjectReference,
  PROXY,
  REFERENCE,
  RemoteException,
  RubyClass,
  RubySymbol,
  SYMBOL,
} from "./values.ts";

/**
 * A run of MessagePack values, ready to be sent. `null` and `undefined` are nil; a `Map` may have
 * any keys, the keys of an object are strings; a bigint beyond 64 bits goes out as a float.
 *
 * @throws {TypeError} for a value that the bus has no word for.
 */
export function encodeValues(values: readonly unknown[]): Uint8Array {
  return encodeNested(values, 0);
}

/** `payload` with the shortest header for its length. */
export function encodeExtension(type: number, payload: Uint8Array): Uint8Array {
  const writer = new Writer();
  writer.extension(type, payload);
  return writer.bytes();
}

const UTF8 = new TextEncoder();

/** Writes scalars and strings. It cannot write maps with any keys, so containers are up to us. */
const scalars = new Encoder();

function encodeNested(values: readonly unknown[], nesting: number): Uint8Array {
  const writer = new Writer();
  for (const value of values) writer.value(value, nesting);
  return writer.bytes();
}

/** One level below `nesting`; cycles end here too. */
function deeper(nesting: number): number {
  if (nesting < MAX_NESTING) return nesting + 1;
  throw new RangeError(`Cannot send nested values over the bus: limit is ${MAX_NESTING} levels`);
}

class Writer {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** What was written. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  value(value: unknown, nesting: number): void {
    switch (typeof value) {
      case "undefined":
      case "boolean":
        this.#append(scalars.encodeSharedRef(value));
        break;
      case "string":
        this.#append(scalars.encodeSharedRef(value.toWellFormed()));
        break;
      case "number":
        if (Object.is(value, -0)) this.#number(0xcb, 8, (view) => view.setFloat64(1, value));
        else this.#append(scalars.encodeSharedRef(value));
        break;
      case "bigint":
        this.#bigint(value);
        break;
      case "object":
        if (value === null || value instanceof Uint8Array) {
          this.#append(scalars.encodeSharedRef(value));
        } else {
          this.#object(value, nesting);
        }
        break;
      default:
        throw new TypeError(`Cannot send a ${typeof value} over the bus`);
    }
  }

  extension(type: number, payload: Uint8Array): void {
    const size = payload.length;
    const fixed = [1, 2, 4, 8, 16].indexOf(size);
    if (fixed >= 0) this.#byte(0xd4 + fixed);
    else if (size < 0x100) this.#number(0xc7, 1, (view) => view.setUint8(1, size));
    else if (size < 0x10000) this.#number(0xc8, 2, (view) => view.setUint16(1, size));
    else this.#number(0xc9, 4, (view) => view.setUint32(1, size));
    this.#byte(type);
    this.#append(payload);
  }

  #object(value: object, nesting: number): void {
    if (value instanceof RubySymbol) {
      this.extension(SYMBOL, UTF8.encode(value.name));
    } else if (value instanceof RubyClass) {
      this.extension(CLASS, UTF8.encode(value.name));
    } else if (value instanceof ObjectReference) {
      const payload = encodeNested([value.name], deeper(nesting));
      this.extension(value.byReference ? REFERENCE : PROXY, payload);
    } else if (value instanceof RemoteException) {
      const { className, message, backtrace } = value;
      this.extension(EXCEPTION, encodeNested([className, message, backtrace], deeper(nesting)));
    } else {
      this.#container(value, deeper(nesting));
    }
  }

  #container(value: object, nesting: number): void {
    if (Array.isArray(value)) {
      this.#count(value.length, 0x90, 0xdc);
      for (const item of value) this.value(item, nesting);
      return;
    }
    const entries = value instanceof Map ? [...value] : Object.entries(plainObject(value));
    this.#count(entries.length, 0x80, 0xde);
    for (const [key, item] of entries) {
      this.value(key, nesting);
      this.value(item, nesting);
    }
  }

  /** How many elements follow: `fix` is the head for up to 15, `wide` the one with 16 bits. */
  #count(count: number, fix: number, wide: number): void {
    if (count < 0x10) this.#byte(fix | count);
    else if (count < 0x10000) this.#number(wide, 2, (view) => view.setUint16(1, count));
    else this.#number(wide + 1, 4, (view) => view.setUint32(1, count));
  }

  #bigint(value: bigint): void {
    const number = Number(value);
    if (Number.isSafeInteger(number)) this.value(number, 0);
    else if (BigInt.asUintN(64, value) === value) {
      this.#number(0xcf, 8, (view) => view.setBigUint64(1, value));
    } else if (BigInt.asIntN(64, value) === value) {
      this.#number(0xd3, 8, (view) => view.setBigInt64(1, value));
    } else {
      this.value(number, 0);
    }
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  /** `head` and the `width` bytes that `set` writes behind it. */
  #number(head: number, width: number, set: (view: DataView) => void): void {
    this.#reserve(1 + width);
    this.#bytes[this.#length] = head;
    set(new DataView(this.#bytes.buffer, this.#length, 1 + width));
    this.#length += 1 + width;
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#length + size, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

function plainObject(value: object): object {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return value;
  throw new TypeError(
    `Cannot send a ${prototype.constructor?.name ?? "class instance"} over the bus`,
  );
}
