import type { Duplex } from "node:stream";
import { clearTimeout, setTimeout } from "node:timers";
import type { Logger } from "../log.ts";
import { Bindings, type Handler } from "./bindings.ts";
import { Calls, type Patience } from "./calls.ts";
import { CallError, LimitError, RemoteError, toException } from "./errors.ts";
import { FrameReader, MAX_FRAME_SIZE } from "./frame_reader.ts";
import type { ConnectionLimits } from "./limits.ts";
import {
  ERROR,
  encodeMessage,
  type Failure,
  INVOKE,
  type Invoke,
  type Message,
  type Options,
  RELEASE,
  RETURN,
  type Result,
  THROW,
  YIELD,
} from "./messages.ts";
import { MAX_NESTING, MAX_VALUES } from "./scan.ts";
import { ObjectReference, plain, RemoteException, symbol } from "./values.ts";

export const CONNECTION_LIMITS: Required<ConnectionLimits> = {
  frameSize: MAX_FRAME_SIZE,
  sentFrameSize: 64 * 1024 * 1024,
  nesting: MAX_NESTING,
  values: MAX_VALUES,
  serving: 256,
  calls: 1024,
  unsentSize: 1024 * 1024,
  temporaries: 1024,
  firstFrameMs: 10_000,
  frameMs: 10_000,
};

/** Timers of 2^31 ms and more fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface ConnectionOptions {
  /** A `Socket`, connected or connecting, or any other stream of bytes in both directions. */
  readonly socket: Duplex;
  /** Whether the peer connected to this side. The side that connects has the odd ids. */
  readonly accepting: boolean;
  readonly log: Logger;
  readonly limits?: ConnectionLimits;
  /** Called when a limit was reached. Without it, those that end the connection are logged. */
  readonly onLimit?: (limit: keyof ConnectionLimits, message: string) => void;
  /** Called once, when the connection has ended, with the reason. */
  readonly onClose?: (reason: string) => void;
}

export interface InvokeOptions extends Patience {
  /** Keyword arguments. */
  readonly options?: Options;
}

/**
 * One end of an async-bus connection: serves the peer's calls to objects bound here, and calls
 * objects bound there. It ends when either side closes it, when the socket fails, or when the peer
 * breaks the protocol or a limit (which is logged). Nothing that a peer sends can throw here.
 *
 * Bind objects before the event loop turns: the peer may call at once.
 *
 * @example
 * ```ts
 * const connection = new Connection({ socket: connect(path), accepting: false, log: console });
 * console.log(plain(await connection.invoke("supervisor", "status")));
 * connection.close();
 * ```
 */
export class Connection {
  /** Who the peer is, in log lines. */
  label = "peer";

  /**
   * Whether the peer may leave its bytes unread, as a worker does that is busy or stopped. Calls to
   * it then fail and answers to it are dropped, where any other peer would be disconnected.
   */
  patient = false;

  readonly #socket: Duplex;
  readonly #log: Logger;
  readonly #limits: Required<ConnectionLimits>;
  readonly #onClose: (reason: string) => void;
  readonly #onLimit: ConnectionOptions["onLimit"];
  readonly #accepting: boolean;
  readonly #reader: FrameReader;
  readonly #bindings: Bindings;
  /** By when a frame must be whole. */
  #deadline: ReturnType<typeof setTimeout> | undefined;

  readonly #calls = new Calls();
  #nextId: number;
  #serving = 0;
  #closed = false;

  constructor({ socket, accepting, log, limits, ...listeners }: ConnectionOptions) {
    const { onClose = () => {}, onLimit } = listeners;
    this.#socket = socket;
    this.#log = log;
    this.#onClose = onClose;
    this.#onLimit = onLimit;
    this.#accepting = accepting;
    this.#nextId = accepting ? 2 : 1;
    this.#limits = { ...CONNECTION_LIMITS, ...limits };
    this.#reader = new FrameReader(this.#limits);
    this.#bindings = new Bindings(this.#limits.temporaries);
    if (accepting) this.#expectFrame("firstFrameMs");

    socket.on("data", (chunk: Uint8Array) => this.#read(chunk));
    // A peer that has only ended its own side could still read. Waiting for that is how the
    // original deadlocks.
    socket.on("end", () => this.#end("peer closed the connection"));
    socket.on("error", (error: Error) => this.#end(`connection failed: ${error.message}`));
    socket.on("close", () => this.#end("connection closed"));
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Ends the connection; `onClose` is told `reason`. Calls that wait for an answer fail. */
  close(reason = "closed by this side"): void {
    this.#end(reason);
  }

  /**
   * Lets the peer call `methods` of the object `name`, and no others. The result stands for the
   * object in arguments.
   */
  bind(name: string, methods: Readonly<Record<string, Handler>>): ObjectReference {
    this.#bindings.bind(name, methods);
    return new ObjectReference(symbol(name));
  }

  /**
   * An object without a name, to be passed to the peer: `handler` answers all its methods until the
   * peer releases it. The same handler is the same object.
   *
   * @throws {RemoteError} if the peer holds too many of them.
   */
  bindTemporary(handler: Handler): ObjectReference {
    try {
      return new ObjectReference(this.#bindings.bindTemporary(handler));
    } catch (error) {
      const { temporaries } = this.#limits;
      this.#onLimit?.(
        "temporaries",
        `Lent ${temporaries} objects to ${this.label}: no more are lent`,
      );
      throw error;
    }
  }

  /**
   * Calls a method of the peer's object `target`: a name, or a reference that the peer has sent.
   *
   * @throws {RemoteError} if the peer answers with an exception.
   * @throws {CallError} if there is no answer.
   */
  async invoke(
    target: string | ObjectReference,
    method: string,
    positional: readonly unknown[] = [],
    { options = {}, ...patience }: InvokeOptions = {},
  ): Promise<unknown> {
    patience.signal?.throwIfAborted();
    const { calls, unsentSize } = this.#limits;
    if (this.#calls.size >= calls) {
      this.#onLimit?.(
        "calls",
        `${calls} calls to ${this.label} wait for an answer: no more are made`,
      );
      throw new CallError(`Cannot call "${method}": ${calls} calls are open`, "busy");
    }
    const id = this.#nextId;
    const object = typeof target === "string" ? symbol(target) : target.name;
    const block = false;
    const call: Invoke = {
      type: INVOKE,
      id,
      object,
      method,
      arguments: positional,
      options,
      block,
    };
    if (!this.#send(this.#encode(call))) {
      throw this.#closed
        ? new CallError(`Cannot call "${method}": connection is closed`, "closed")
        : new CallError(`Cannot call "${method}": would exceed ${unsentSize} unsent bytes`, "busy");
    }
    this.#nextId += 2;
    return await this.#calls.wait(id, method, patience);
  }

  #read(chunk: Uint8Array): void {
    if (this.#closed) return;
    try {
      for (const message of this.#reader.read(chunk)) {
        clearTimeout(this.#deadline);
        this.#deadline = undefined;
        this.#receive(message);
        if (this.#closed) return;
      }
    } catch (error) {
      this.#drop((error as Error).message, error instanceof LimitError ? error.limit : undefined);
      return;
    }
    const isUnfinished = this.#reader.held > 0 && this.#deadline === undefined;
    if (isUnfinished && this.#accepting && !this.patient) this.#expectFrame("frameMs");
  }

  #expectFrame(limit: "firstFrameMs" | "frameMs"): void {
    const ms = Math.min(this.#limits[limit], LONGEST_TIMER_MS);
    const late = () => this.#drop(`no whole frame within ${ms} ms`, limit);
    this.#deadline = setTimeout(late, ms).unref();
  }

  #receive(message: Message): void {
    switch (message.type) {
      case INVOKE:
        this.#serve(message);
        break;
      case RETURN:
        this.#calls.resolve(message.id, message.result);
        break;
      case ERROR: {
        const { className, message: words } = message.exception;
        this.#calls.reject(message.id, new RemoteError(words, className));
        break;
      }
      case THROW: {
        const error = new RemoteError(
          `uncaught throw ${tagText(message.tag)}`,
          "UncaughtThrowError",
        );
        this.#calls.reject(message.id, error);
        break;
      }
      case YIELD:
        // The peer waits for a block that it was not given.
        if (this.#calls.has(message.id)) this.#fail(message.id, new RemoteError("no block given"));
        break;
      case RELEASE:
        this.#bindings.release(message.object);
        break;
      default:
      // Next and Close are answers to a Yield, and none is ever sent from here.
    }
  }

  #serve({ id, object, method, arguments: positional, options }: Invoke): void {
    if (this.#serving >= this.#limits.serving) {
      this.#drop(`more than ${this.#limits.serving} calls at once`, "serving");
      return;
    }
    const handler = this.#bindings.find(object, method);
    if (handler instanceof RemoteException) {
      this.#answer({ type: ERROR, id, exception: handler });
      return;
    }
    let result: unknown;
    try {
      result = handler(positional, options, { connection: this, method });
    } catch (error) {
      this.#fail(id, error);
      return;
    }
    if (!(result instanceof Promise)) {
      this.#answer({ type: RETURN, id, result });
      return;
    }
    this.#serving++;
    result
      .then(
        (value: unknown) => this.#answer({ type: RETURN, id, result: value }),
        (error: unknown) => this.#fail(id, error),
      )
      .finally(() => this.#serving--);
  }

  #fail(id: number, error: unknown): void {
    this.#answer({ type: ERROR, id, exception: toException(error) });
  }

  /** Sends what the peer waits for; if that cannot be encoded, the peer gets to know why. */
  #answer(message: Result | Failure): void {
    if (this.#closed) return;
    let frame: Uint8Array;
    try {
      frame = this.#encode(message);
    } catch (error) {
      const exception = toException(error);
      frame = encodeMessage({ type: ERROR, id: message.id, exception });
    }
    if (!this.#send(frame)) this.#log.debug(`Dropped an answer that ${this.label} does not read`);
  }

  #encode(message: Message): Uint8Array {
    const frame = encodeMessage(message);
    const { sentFrameSize } = this.#limits;
    if (frame.length <= sentFrameSize) return frame;
    const problem = `Cannot send frame of ${frame.length} bytes: limit is ${sentFrameSize} bytes`;
    this.#onLimit?.("sentFrameSize", problem);
    throw new RangeError(problem);
  }

  /** False if `frame` was not sent: the connection is closed, or the peer leaves too much unread. */
  #send(frame: Uint8Array): boolean {
    if (this.#closed) return false;
    const unsent = this.#socket.writableLength;
    const { unsentSize } = this.#limits;
    if (unsent > 0 && unsent + frame.length > unsentSize) {
      const problem = `would exceed ${unsentSize} unsent bytes`;
      if (this.patient) this.#onLimit?.("unsentSize", `Cannot tell ${this.label} more: ${problem}`);
      else this.#drop(problem, "unsentSize");
      return false;
    }
    this.#socket.write(frame);
    return true;
  }

  /** Ends the connection because the peer has gone too far. */
  #drop(reason: string, limit?: keyof ConnectionLimits): void {
    if (this.#closed) return;
    const message = `Disconnected ${this.label}: ${reason}`;
    if (limit !== undefined && this.#onLimit !== undefined) this.#onLimit(limit, message);
    else this.#log.warn(message);
    this.#end(reason);
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#deadline);
    this.#socket.destroy();
    this.#calls.rejectAll(new CallError(`Cannot wait for an answer: ${reason}`, "closed"));
    try {
      this.#onClose(reason);
    } catch (error) {
      this.#log.error(`Cannot tell of the end of ${this.label}`, error);
    }
  }
}

function tagText(tag: unknown): string {
  const value = plain(tag);
  return typeof value === "object" ? "" : String(value).slice(0, 100);
}
