import type { Connection } from "./connection.ts";
import { RemoteError } from "./errors.ts";
import type { Options } from "./messages.ts";
import { type ObjectName, RemoteException, RubySymbol } from "./values.ts";

/** Which call a handler is answering. */
export interface CallContext {
  readonly connection: Connection;
  readonly method: string;
}

/**
 * Answers a call with what it returns, or with what the promise that it returns resolves to. What
 * it throws reaches the caller as an exception: class and message, never the stack.
 */
export type Handler = (
  positional: readonly unknown[],
  options: Options,
  context: CallContext,
) => unknown;

/** The objects that a peer may call, and their methods: what is not listed here does not exist. */
export class Bindings {
  readonly #named = new Map<string, ReadonlyMap<string, Handler>>();
  readonly #temporary = new Map<number, Handler>();
  readonly #temporaryNames = new Map<Handler, number>();
  readonly #maxTemporaries: number;
  #nextName = 1;

  constructor(maxTemporaries: number) {
    this.#maxTemporaries = maxTemporaries;
  }

  bind(name: string, methods: Readonly<Record<string, Handler>>): void {
    this.#named.set(name, new Map(Object.entries(methods)));
  }

  bindTemporary(handler: Handler): number {
    const known = this.#temporaryNames.get(handler);
    if (known !== undefined) return known;
    if (this.#temporary.size >= this.#maxTemporaries) {
      throw new RemoteError(`Cannot pass more than ${this.#maxTemporaries} objects: release some`);
    }
    const name = this.#nextName++;
    this.#temporary.set(name, handler);
    this.#temporaryNames.set(handler, name);
    return name;
  }

  /** Ruby also releases objects that have a name, and some that it never had. Those stay. */
  release(name: ObjectName): void {
    const handler = typeof name === "number" ? this.#temporary.get(name) : undefined;
    if (handler === undefined) return;
    this.#temporary.delete(name as number);
    this.#temporaryNames.delete(handler);
  }

  /** What answers `method` of `object`, or the exception that says that nothing does. */
  find(object: ObjectName, method: string): Handler | RemoteException {
    if (typeof object === "number") return this.#temporary.get(object) ?? notFound(object);
    // A string is not a Symbol, and finds nothing.
    const methods = object instanceof RubySymbol ? this.#named.get(object.name) : undefined;
    if (methods === undefined) return notFound(object);
    return methods.get(method) ?? undefinedMethod(method, object);
  }
}

function notFound(object: ObjectName): RemoteException {
  return new RemoteException("NameError", `Object not found: ${describe(object)}`, null);
}

function undefinedMethod(method: string, object: ObjectName): RemoteException {
  const message = `undefined method \`${method.slice(0, 100)}' for an instance of ${describe(object)}`;
  return new RemoteException("NoMethodError", message);
}

function describe(object: ObjectName): string {
  return String(object instanceof RubySymbol ? object.name : object).slice(0, 100);
}
