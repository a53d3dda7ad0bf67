import { RemoteException } from "./values.ts";

/** The peer sent bytes that are not async-bus, or more than a limit allows. */
export class ProtocolError extends Error {
  override readonly name: string = "ProtocolError";
}

/** The peer sent what it may send, but more of it than a limit allows. */
export class LimitError extends ProtocolError {
  readonly limit: "frameSize" | "nesting" | "values";

  constructor(message: string, limit: LimitError["limit"]) {
    super(message);
    this.limit = limit;
  }
}

/**
 * A call that the other side answered with an exception. A handler may throw one to choose the
 * Ruby class that its caller sees.
 */
export class RemoteError extends Error {
  override readonly name: string = "RemoteError";

  /** The Ruby class, for example `"ArgumentError"`; null if it is anonymous. */
  readonly className: string | null;

  constructor(message: string, className: string | null = "RuntimeError") {
    super(message);
    this.className = className;
  }
}

/** Why a call has no answer: the connection ended, time ran out, or a limit left no room for it. */
export type CallFailure = "closed" | "timeout" | "busy";

/** A call that was not answered. */
export class CallError extends Error {
  override readonly name: string = "CallError";
  readonly reason: CallFailure;

  constructor(message: string, reason: CallFailure) {
    super(message);
    this.reason = reason;
  }
}

/** A Ruby peer that cannot find a class drops the connection, so nothing else is ever sent. */
const CORE_CLASSES: ReadonlySet<string | null> = new Set([
  "ArgumentError",
  "IOError",
  "NameError",
  "NoMethodError",
  "RangeError",
  "RuntimeError",
  "TypeError",
]);

/** What a peer may know about `error`: a core Ruby class and the message, never the stack. */
export function toException(error: unknown): RemoteException {
  if (!(error instanceof Error)) {
    return new RemoteException("RuntimeError", typeof error === "string" ? error : "Unknown error");
  }
  if (error instanceof RemoteError) {
    return CORE_CLASSES.has(error.className)
      ? new RemoteException(error.className, error.message)
      : new RemoteException("RuntimeError", `${error.className}: ${error.message}`);
  }
  if (error instanceof TypeError) return new RemoteException("TypeError", error.message);
  if (error instanceof RangeError) return new RemoteException("RangeError", error.message);
  return new RemoteException("RuntimeError", error.message);
}
