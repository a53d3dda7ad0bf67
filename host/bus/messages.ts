import { decodeValues, objectName } from "./decode.ts";
import { encodeExtension, encodeValues } from "./encode.ts";
import { ProtocolError } from "./errors.ts";
import { MAX_NESTING, MAX_VALUES } from "./scan.ts";
import { type ObjectName, RemoteException, RubySymbol, symbol, text } from "./values.ts";

// Types of the MessagePack extensions that are messages.
export const INVOKE = 0x00;
export const RETURN = 0x01;
export const YIELD = 0x02;
export const ERROR = 0x03;
export const NEXT = 0x04;
export const THROW = 0x05;
export const CLOSE = 0x06;
export const RELEASE = 0x11;

/** Keyword arguments, by name. Received ones have no prototype. */
export type Options = Readonly<Record<string, unknown>>;

/** Call a method. `id` is the caller's, and every message about this call carries it. */
export interface Invoke {
  readonly type: typeof INVOKE;
  readonly id: number;
  readonly object: ObjectName;
  readonly method: string;
  readonly arguments: readonly unknown[];
  readonly options: Options;
  /** Whether the caller has a block, so that it would answer a Yield. */
  readonly block: boolean;
}

/** The call's result. Next: the result of the caller's block. Close: the caller left its block. */
export interface Result {
  readonly type: typeof RETURN | typeof NEXT | typeof CLOSE;
  readonly id: number;
  readonly result: unknown;
}

/** Call the caller's block. */
export interface Yield {
  readonly type: typeof YIELD;
  readonly id: number;
  readonly arguments: readonly unknown[];
}

/** The call, or the caller's block, raised. */
export interface Failure {
  readonly type: typeof ERROR;
  readonly id: number;
  readonly exception: RemoteException;
}

/** The call ended with a `throw` that it did not catch. */
export interface Throw {
  readonly type: typeof THROW;
  readonly id: number;
  readonly tag: unknown;
  readonly value: unknown;
}

/** The sender holds no reference to the receiver's object any more. */
export interface Release {
  readonly type: typeof RELEASE;
  readonly object: ObjectName;
}

export type Message = Invoke | Result | Yield | Failure | Throw | Release;

const NAMES: ReadonlyMap<number, string> = new Map([
  [INVOKE, "Invoke"],
  [RETURN, "Return"],
  [YIELD, "Yield"],
  [ERROR, "Error"],
  [NEXT, "Next"],
  [THROW, "Throw"],
  [CLOSE, "Close"],
  [RELEASE, "Release"],
]);

/** Whether `type` is the extension type of a message. */
export function isMessageType(type: number): boolean {
  return NAMES.has(type);
}

/** The frame that carries `message`. */
export function encodeMessage(message: Message): Uint8Array {
  return encodeExtension(message.type, encodeValues(payload(message)));
}

function payload(message: Message): unknown[] {
  switch (message.type) {
    case INVOKE: {
      const { id, object, method, options, block } = message;
      const keywords = Object.entries(options).flatMap(([key, value]) => [symbol(key), value]);
      const positional = [symbol(method), ...message.arguments];
      return [
        id,
        object,
        positional.length,
        ...positional,
        keywords.length / 2,
        ...keywords,
        block,
      ];
    }
    case YIELD:
      return [message.id, message.arguments];
    case ERROR:
      return [message.id, message.exception];
    case THROW:
      return [message.id, [message.tag, message.value]];
    case RELEASE:
      return [message.object];
    default:
      return [message.id, message.result];
  }
}

/** @throws {ProtocolError} if `payload` is not what a message of this type consists of. */
export function decodeMessage(
  type: number,
  payload: Uint8Array,
  maxNesting: number = MAX_NESTING,
  maxValues: number = MAX_VALUES,
): Message {
  const name = NAMES.get(type) ?? "message";
  const values = new Values(name, decodeValues(payload, maxNesting, maxValues));
  const message = readMessage(type, values);
  values.end();
  return message;
}

function readMessage(type: number, values: Values): Message {
  if (type === RELEASE) return { type, object: objectName(values.next()) };
  const id = values.integer("id");
  switch (type) {
    case INVOKE:
      return readInvoke(id, values);
    case RETURN:
    case NEXT:
    case CLOSE:
      return { type, id, result: values.next() };
    case YIELD:
      return { type, id, arguments: values.array() };
    case ERROR: {
      const exception = values.next();
      if (exception instanceof RemoteException) return { type, id, exception };
      throw new ProtocolError("Cannot read Error: it holds no exception");
    }
    case THROW: {
      const pair = values.array();
      if (pair.length !== 2) throw new ProtocolError("Cannot read Throw: it holds no pair");
      return { type, id, tag: pair[0], value: pair[1] };
    }
    default:
      throw new ProtocolError(`Cannot read message of unknown type ${type}`);
  }
}

function readInvoke(id: number, values: Values): Invoke {
  const object = objectName(values.next());
  const [name, ...positional] = values.take(values.integer("argument count"));
  const method = nameText(name);
  const options: Record<string, unknown> = Object.create(null);
  for (let left = values.integer("option count"); left > 0; left--) {
    options[nameText(values.next())] = values.next();
  }
  // nil is as good as false.
  const block = values.next() === true;
  return { type: INVOKE, id, object, method, arguments: positional, options, block };
}

/** The name of a method or option: a Symbol, or, as Ruby also takes it, text. */
function nameText(value: unknown): string {
  if (value instanceof RubySymbol) return value.name;
  if (value instanceof Uint8Array) return text(value);
  if (typeof value === "string") return value;
  throw new ProtocolError("Cannot read Invoke: a method or option has no name");
}

/** Takes the values of a payload one by one, and knows when there are too few or too many. */
class Values {
  readonly #message: string;
  readonly #values: readonly unknown[];
  #position = 0;

  constructor(message: string, values: readonly unknown[]) {
    this.#message = message;
    this.#values = values;
  }

  next(): unknown {
    return this.take(1)[0];
  }

  take(count: number): unknown[] {
    const left = this.#values.length - this.#position;
    if (count > left) {
      throw new ProtocolError(`Cannot read ${this.#message}: ${count} values wanted, ${left} left`);
    }
    this.#position += count;
    return this.#values.slice(this.#position - count, this.#position);
  }

  integer(what: string): number {
    const value = this.next();
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    throw new ProtocolError(`Cannot read ${this.#message}: its ${what} is no unsigned integer`);
  }

  array(): unknown[] {
    const value = this.next();
    if (Array.isArray(value)) return value;
    throw new ProtocolError(`Cannot read ${this.#message}: it holds no array`);
  }

  end(): void {
    const left = this.#values.length - this.#position;
    if (left > 0) throw new ProtocolError(`Cannot read ${this.#message}: ${left} values too many`);
  }
}
