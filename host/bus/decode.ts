import { decodeMulti, type ExtensionCodecType } from "@msgpack/msgpack";
import { ProtocolError } from "./errors.ts";
import { MAX_NESTING, MAX_VALUES, scan } from "./scan.ts";
import {
  CLASS,
  EXCEPTION,
  type ObjectName,
  ObjectReference,
  REFERENCE,
  RemoteException,
  RubyClass,
  RubySymbol,
  SYMBOL,
  text,
} from "./values.ts";

/**
 * The values that `bytes` consist of. Integers are numbers where these are exact, else bigints;
 * maps are objects without a prototype, with their keys as text; bytes are copies.
 *
 * @throws {ProtocolError} if `bytes` are anything else than whole, known values.
 */
export function decodeValues(
  bytes: Uint8Array,
  maxNesting: number = MAX_NESTING,
  maxValues: number = MAX_VALUES,
): unknown[] {
  scan(bytes, maxNesting, maxValues);
  return decodeScanned(bytes);
}

const extensionCodec: ExtensionCodecType<undefined> = {
  tryToEncode: () => null,
  decode(payload, type) {
    switch (type) {
      case SYMBOL:
        return new RubySymbol(text(payload));
      case CLASS:
        return new RubyClass(text(payload));
      case EXCEPTION:
        return exception(decodeScanned(payload));
      default:
        return new ObjectReference(objectName(decodeScanned(payload)[0]), type === REFERENCE);
    }
  },
};

/**
 * Keys as the text of their own bytes. The library's decoder of keys reads beyond the end of one that
 * ends within a character, and remembers what it has read for all peers.
 */
const keyDecoder = {
  canBeCached: (): boolean => true,
  decode: (bytes: Uint8Array, offset: number, size: number): string =>
    text(bytes.subarray(offset, offset + size)),
};

/** Each run has its own decoder: one that is entered again, for a payload, forgets its options. */
function decodeScanned(bytes: Uint8Array): unknown[] {
  const options = { extensionCodec, keyDecoder, mapKeyConverter: mapKey, useBigInt64: true };
  try {
    return Array.from(decodeMulti(bytes, options), settle);
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw new ProtocolError(`Cannot decode values: ${(error as Error).message}`, { cause: error });
  }
}

/** From what the library returns to what `decodeValues` promises. */
function settle(value: unknown): unknown {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  // The library lets lone surrogates through in short strings.
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = settle(value[index]);
    return value;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  const map: Record<string, unknown> = Object.create(null);
  for (const [key, item] of Object.entries(value)) map[key] = settle(item);
  return map;
}

function mapKey(key: unknown): string {
  const name = keyText(key);
  // The library refuses this key only where it is a string.
  if (name === "__proto__") throw new ProtocolError(`Cannot read map key "__proto__"`);
  return name;
}

function keyText(key: unknown): string {
  if (typeof key !== "object" || key === null) return String(key).toWellFormed();
  if (key instanceof RubySymbol || key instanceof RubyClass) return key.name;
  if (key instanceof Uint8Array) return text(key);
  throw new ProtocolError("Cannot read map key: it is neither text nor a number");
}

/** `value` as the name of an object. */
export function objectName(value: unknown): ObjectName {
  if (value instanceof RubySymbol || typeof value === "string" || Number.isSafeInteger(value)) {
    return value as ObjectName;
  }
  throw new ProtocolError("Cannot read object name: it is no Symbol, String or Integer");
}

function exception([className, message, backtrace]: unknown[]): RemoteException {
  if (className !== null && typeof className !== "string") {
    throw new ProtocolError("Cannot read exception: its class is no String");
  }
  // Most of Ruby's own messages are binary.
  const words = message instanceof Uint8Array ? text(message) : message;
  if (typeof words !== "string") {
    throw new ProtocolError("Cannot read exception: its message is no String");
  }
  const lines = Array.isArray(backtrace)
    ? backtrace.filter((line) => typeof line === "string")
    : null;
  return new RemoteException(className, words, lines);
}
