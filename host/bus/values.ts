// Ruby's values that have no counterpart in JavaScript, and their MessagePack extension types.

export const PROXY = 0x10;
export const SYMBOL = 0x20;
export const EXCEPTION = 0x21;
export const CLASS = 0x22;
export const REFERENCE = 0x30;

/** A Ruby Symbol. Names, option keys and types are Symbols on the bus; a string is not the same. */
export class RubySymbol {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** `symbol("web")` is Ruby's `:web`. */
export function symbol(name: string): RubySymbol {
  return new RubySymbol(name);
}

/** A Ruby class, by name. */
export class RubyClass {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** What an object is bound under: a Symbol if it was given a name, else an integer. */
export type ObjectName = RubySymbol | number | string;

/** An object that one of the two sides has bound, so that the other can call it. */
export class ObjectReference {
  readonly name: ObjectName;

  /** Ruby has two ways to pass an object, Proxy and (true here) Reference. They act the same. */
  readonly byReference: boolean;

  constructor(name: ObjectName, byReference = false) {
    this.name = name;
    this.byReference = byReference;
  }
}

/** An exception as a value. `RemoteError` is the one to throw. */
export class RemoteException {
  /** Null for an anonymous class. */
  readonly className: string | null;
  readonly message: string;
  readonly backtrace: readonly string[] | null;

  constructor(className: string | null, message: string, backtrace: readonly string[] | null = []) {
    this.className = className;
    this.message = message;
    this.backtrace = backtrace;
  }
}

// A byte order mark at the start is part of the text.
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** Longest text that is looked at for more than ASCII: names are shorter. */
const SHORT = 32;

/** Bytes as text; what is not UTF-8 becomes U+FFFD. */
export function text(bytes: Uint8Array): string {
  return isShortAscii(bytes) ? String.fromCharCode(...bytes) : lenient.decode(bytes);
}

/** Such text needs no decoder, whose call costs more than the rest of a Symbol. */
function isShortAscii(bytes: Uint8Array): boolean {
  if (bytes.length > SHORT) return false;
  for (const byte of bytes) if (byte >= 0x80) return false;
  return true;
}

/**
 * A received value without Ruby in it: Symbols, Classes and bytes that are UTF-8 become strings,
 * all the way down. Other bytes, references and exceptions stay as they are.
 *
 * Only for what was received: the depth of that is limited.
 */
export function plain(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof RubySymbol || value instanceof RubyClass) return value.name;
  if (value instanceof Uint8Array) return utf8(value) ?? value;
  if (Array.isArray(value)) return value.map(plain);
  if (Object.getPrototypeOf(value) !== null) return value;
  const result: Record<string, unknown> = Object.create(null);
  for (const [key, item] of Object.entries(value)) result[key] = plain(item);
  return result;
}

function utf8(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}
