// The Unix-socket server: workers come, workers go, clients ask.

import { createServer, type Server, type Socket } from "node:net";
import { resolve } from "node:path";
import type { CallContext, Handler } from "./bus/bindings.ts";
import { CONNECTION_LIMITS, Connection } from "./bus/connection.ts";
import { RemoteError } from "./bus/errors.ts";
import type { Options } from "./bus/messages.ts";
import { ObjectReference, plain, symbol } from "./bus/values.ts";
import { SUPERVISOR_VARIABLE } from "./directory.ts";
import { exactJson, jsonText } from "./exact_json.ts";
import { LimitWatch, type SupervisorLimits, withDefaults } from "./limits.ts";
import { budgeted, type Logger, stderrLogger } from "./log.ts";
import { SelfProbe } from "./self_probe.ts";
import { type Access, listen } from "./unix_socket.ts";
import { VERSION } from "./version.ts";
import { rowsFromWire, statusToWire } from "./wire.ts";
import type { WorkerController } from "./worker_controller.ts";

/** What a supervisor tells about each worker, and asks for its status. */
export interface Monitor {
  /** Takes possession of what the monitor needs, once the supervisor owns its socket. */
  open?(): Promise<void>;
  register(controller: WorkerController): Promise<void> | void;
  /** The worker's connection is gone. To return false says that it was never counted. */
  remove(controller: WorkerController): unknown;
  /** The worker has said that it will not write any more. `remove` follows. */
  unregister?(controller: WorkerController): void;
  /** `{ type, data }`, with `data` of two levels: `{ service: { field: value } }`. */
  status(options?: { bigint?: boolean }): { readonly type: string; readonly data: object };
  /** The status as exact JSON text. */
  statusText?(options: { totals: boolean; byWorker: boolean }): string;
  /** How often each limit of its own was reached. */
  readonly limitsReached?: Readonly<Record<string, number>>;
  close?(): Promise<void> | void;
}

const LIMITS: Required<SupervisorLimits> = {
  ...CONNECTION_LIMITS,
  connections: 20_000,
  workers: 16_384,
  registrations: 10,
  logLines: 1000,
};

export interface SupervisorOptions {
  /** Path of the socket; `supervisor.ipc` in the working folder by default. */
  socket?: string | undefined;
  monitors?: readonly Monitor[] | undefined;
  /** Permission bits of the socket; 0600 by default. */
  mode?: number | undefined;
  /** Group id that the socket is handed to. */
  groupId?: number | undefined;
  /** How often the supervisor checks that it can be reached; 5000 by default, 0 for never. */
  probeMs?: number | undefined;
  /** What peers may cost; {@link Supervisor.limitsReached} counts how often they wanted more. */
  limits?: SupervisorLimits | undefined;
  log?: Logger | undefined;
}

/** How long a client waits for a worker: one that never answers must not be called for ever. */
const FORWARDED_MS = 60_000;
/** Of a worker's state as JSON, which is kept as long as the worker is. */
const LONGEST_STATE = 65_536;

/**
 * What may be called on a worker through `supervisor[id]`: what Ruby workers offer. Their language
 * would allow more: `instance_eval` runs any code.
 */
const FORWARDED: ReadonlySet<string> = new Set([
  "garbage_collect",
  "garbage_profile_start",
  "garbage_profile_stop",
  "memory_dump",
  "scheduler_dump",
  "thread_dump",
]);

/** A worker and the way to it. */
interface Peer {
  readonly controller: WorkerController;
  /** Answers calls that clients make to this worker. */
  readonly forward: Handler;
  /** It has said that it will not write any more. */
  saidGoodbye: boolean;
}

/**
 * Owns a Unix socket on which workers register, and tells the monitors of them.
 *
 * @example
 * ```ts
 * await using supervisor = await Supervisor.listen({ monitors: [new UtilizationMonitor()] });
 * cluster.fork(supervisor.env);
 * ```
 */
export class Supervisor {
  /** Absolute path of the socket. */
  readonly socket: string;
  readonly #monitors: readonly Monitor[];
  readonly #log: Logger;
  readonly #limits: Required<SupervisorLimits>;
  readonly #watch: LimitWatch<keyof SupervisorLimits>;
  readonly #server: Server;
  readonly #connections: Set<Connection> = new Set();
  /** Registered workers by id. */
  readonly #peers: Map<number, Peer> = new Map();
  /** Answers that were given in this turn of the event loop. */
  readonly #answers: Map<string, unknown> = new Map();
  #nextId = 1;
  /** Removes the socket's name. */
  #unlink: () => void = () => {};
  #probe: SelfProbe | null = null;
  #closing: Promise<void> | null = null;

  private constructor(options: SupervisorOptions) {
    const { socket = "supervisor.ipc", monitors = [], limits, log = stderrLogger } = options;
    this.socket = resolve(socket);
    this.#monitors = monitors;
    this.#limits = withDefaults(limits, LIMITS);
    const { logLines } = this.#limits;
    this.#watch = new LimitWatch(Object.keys(LIMITS) as (keyof SupervisorLimits)[], log);
    this.#log = budgeted(log, logLines, () => {
      this.#watch.reached("logLines", `More than ${logLines} log lines in 10 s: left some out`);
    });
    this.#server = createServer({ allowHalfOpen: true }, (peer) => this.#accept(peer));
  }

  /**
   * Takes the socket, then opens the monitors: a second supervisor fails before it has touched
   * anything of the first.
   *
   * @throws {Error} when another supervisor listens on the socket or owns a monitor's file.
   * @throws {RangeError} when the path is longer than a socket path can be, or a limit is not a
   * positive whole number.
   */
  static async listen(options: SupervisorOptions = {}): Promise<Supervisor> {
    if (process.platform === "win32") {
      throw new Error("Cannot supervise on Windows: workers share a mapped file and a Unix socket");
    }
    const supervisor = new Supervisor(options);
    const access: Access = { mode: options.mode ?? 0o600, groupId: options.groupId };
    supervisor.#unlink = await listen(supervisor.#server, supervisor.socket, access);
    supervisor.#server.on("error", (error) => supervisor.#log.error("Error accepting", error));
    try {
      for (const monitor of supervisor.#monitors) await monitor.open?.();
    } catch (error) {
      await supervisor.close();
      throw error;
    }
    const { probeMs = 5000 } = options;
    if (probeMs > 0) supervisor.#probe = new SelfProbe(supervisor.socket, probeMs, supervisor.#log);
    return supervisor;
  }

  /** What a worker process needs in its environment to find this supervisor. */
  get env(): { [SUPERVISOR_VARIABLE]: string } {
    return { [SUPERVISOR_VARIABLE]: this.socket };
  }

  /** How often each limit was reached, those of the monitors included. */
  get limitsReached(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = this.#watch.counts;
    for (const { limitsReached = {} } of this.#monitors) {
      for (const [name, count] of Object.entries(limitsReached)) {
        counts[name] = (counts[name] ?? 0) + count;
      }
    }
    return counts;
  }

  /** Ids of all registered workers, also of those that no monitor could set up. */
  keys(): number[] {
    return [...this.#peers.keys()];
  }

  /** The status of each monitor; an error where one could not say. */
  status(): ({ readonly type: string; readonly data: object } | Error)[] {
    return this.#monitors.map((monitor) => {
      try {
        return monitor.status({ bigint: true });
      } catch (error) {
        this.#log.error("Error reading the status of a monitor", error);
        return error instanceof Error ? error : new Error(String(error));
      }
    });
  }

  /** The status as exact JSON text: an array, one entry a monitor. */
  statusText(options: { totals?: boolean; byWorker?: boolean } = {}): string {
    const { totals = false, byWorker = false } = options;
    const entries = this.#monitors.map((monitor) => {
      try {
        return (
          monitor.statusText?.({ totals, byWorker }) ?? exactJson(monitor.status({ bigint: true }))
        );
      } catch (error) {
        this.#log.error("Error reading the status of a monitor", error);
        return exactJson({ error: String(error) });
      }
    });
    return `[${entries.join(",")}]`;
  }

  #accept(socket: Socket): void {
    const { connections } = this.#limits;
    if (this.#connections.size >= connections) {
      this.#watch.reached("connections", `Closed a connection: there are ${connections} already`);
      socket.destroy();
      return;
    }
    let peer: Peer | null = null;
    const isTooFast = rateLimit(this.#limits.registrations);
    const connection = new Connection({
      socket,
      accepting: true,
      log: this.#log,
      limits: this.#limits,
      onLimit: (limit, message) => this.#watch.reached(limit, message),
      onClose: (reason) => {
        this.#connections.delete(connection);
        if (peer !== null) this.#remove(peer, reason);
      },
    });
    this.#connections.add(connection);
    connection.bind("supervisor", {
      register: async (positional, options) => {
        if (isTooFast()) {
          const { registrations } = this.#limits;
          const reason = `more than ${registrations} registrations in a second`;
          this.#watch.reached("registrations", `Disconnected ${connection.label}: ${reason}`);
          connection.close(reason);
          throw new RemoteError(reason);
        }
        if (peer !== null) throw new RemoteError("Already registered");
        const { workers } = this.#limits;
        if (this.#peers.size >= workers) {
          this.#watch.reached("workers", `Refused a worker: there are ${workers} already`);
          throw new RemoteError(`Cannot register: there are ${workers} workers already`);
        }
        peer = this.#makePeer(connection, positional[0] ?? null, options);
        await this.#register(peer);
        return peer.controller.id;
      },
      unregister: () => {
        if (peer !== null) this.#unregister(peer);
        return peer !== null;
      },
      status: () => this.#onceATurn("status", () => this.status().map(statusToWire)),
      status_json: (_, options) => {
        const [totals, byWorker] = [options.totals === true, options.by_worker === true];
        const text = (): string => this.statusText({ totals, byWorker });
        return this.#onceATurn(`status_json ${totals} ${byWorker}`, text);
      },
      keys: () => this.keys(),
      limits_reached: () => this.limitsReached,
      version: () => VERSION,
      "[]": (positional) => {
        if (positional.length !== 1) {
          const message = `wrong number of arguments (given ${positional.length}, expected 1)`;
          throw new RemoteError(message, "ArgumentError");
        }
        const found = this.#peers.get(positional[0] as number);
        if (found !== undefined) return connection.bindTemporary(found.forward);
        const id = exactJson(plain(positional[0])).slice(0, 100);
        throw new RemoteError(`Connection not found: ${id}`, "ArgumentError");
      },
    });
  }

  /** However many calls come in one piece, they get the answer of one moment: it costs once. */
  #onceATurn(call: string, answer: () => unknown): unknown {
    if (this.#answers.size === 0) setImmediate(() => this.#answers.clear());
    if (!this.#answers.has(call)) this.#answers.set(call, answer());
    return this.#answers.get(call);
  }

  #makePeer(connection: Connection, target: unknown, options: Options): Peer {
    if (target !== null && !(target instanceof ObjectReference)) {
      throw new RemoteError("worker must be a proxy or nil", "TypeError");
    }
    if (!("process_id" in options)) {
      throw new RemoteError("missing keyword: :process_id", "ArgumentError");
    }
    const state = plain(options.state ?? {});
    if (typeof state !== "object" || state === null || Array.isArray(state)) {
      throw new RemoteError("state must be a map", "TypeError");
    }
    const { length } = jsonText(state);
    if (length > LONGEST_STATE) {
      const message = `state must be at most ${LONGEST_STATE} characters of JSON, not ${length}`;
      throw new RemoteError(message, "ArgumentError");
    }
    const { process_id: processId } = options;
    const isProcessId = Number.isSafeInteger(processId) && (processId as number) > 0;
    const id = this.#nextId++;
    const setup = "setup_utilization_observer";
    const controller: WorkerController = {
      id,
      processId: isProcessId ? (processId as number) : null,
      state: state as WorkerController["state"],
      worker:
        target === null
          ? null
          : {
              setupUtilizationObserver: async (...place) =>
                rowsFromWire(await connection.invoke(target, setup, place)),
            },
    };
    // A worker may be busy or stopped for as long as it likes.
    connection.label = `worker ${id}`;
    connection.patient = true;
    const forward: Handler = (positional, keywords, context) =>
      forwardCall(connection, target, positional, keywords, context);
    return { controller, forward, saidGoodbye: false };
  }

  async #register(peer: Peer): Promise<void> {
    const { controller } = peer;
    this.#peers.set(controller.id, peer);
    for (const monitor of this.#monitors) {
      if (!this.#peers.has(controller.id)) return;
      try {
        await monitor.register(controller);
      } catch (error) {
        this.#log.error(`Error registering worker ${controller.id}`, error);
      }
    }
  }

  #unregister(peer: Peer): void {
    const { controller } = peer;
    peer.saidGoodbye = true;
    for (const monitor of this.#monitors) {
      try {
        monitor.unregister?.(controller);
      } catch (error) {
        this.#log.error(`Error unregistering worker ${controller.id}`, error);
      }
    }
  }

  #remove({ controller, saidGoodbye }: Peer, reason: string): void {
    const { id, processId } = controller;
    this.#peers.delete(id);
    let wasCounted = saidGoodbye || this.#monitors.length === 0;
    for (const monitor of this.#monitors) {
      try {
        if (monitor.remove(controller) !== false) wasCounted = true;
      } catch (error) {
        wasCounted = true;
        this.#log.error(`Error removing worker ${id}`, error);
      }
    }
    // After a goodbye it does not matter which side noticed the end first, and how. One that was
    // refused comes again and again; the refusal was said.
    const details = { process_id: processId, reason: saidGoodbye ? "it said goodbye" : reason };
    this.#log[wasCounted ? "info" : "debug"](`Removed worker ${id}`, details);
  }

  /** Closes the connections, the monitors and the socket. Workers go on counting by themselves. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#probe?.stop();
    this.#unlink();
    const closed = new Promise<void>((done) => this.#server.close(() => done()));
    for (const connection of this.#connections) connection.close("supervisor is closing");
    for (const monitor of this.#monitors) {
      try {
        await monitor.close?.();
      } catch (error) {
        this.#log.error("Error closing a monitor", error);
      }
    }
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Says whether a call is one more than `perSecond` in the second that began with an earlier one. */
function rateLimit(perSecond: number): () => boolean {
  let start = Number.NEGATIVE_INFINITY;
  let count = 0;
  return () => {
    const now = performance.now();
    if (now - start >= 1000) {
      start = now;
      count = 0;
    }
    return ++count > perSecond;
  };
}

/** A client calls a worker: the supervisor stands between, as in the original. */
function forwardCall(
  connection: Connection,
  target: ObjectReference | null,
  positional: readonly unknown[],
  options: Options,
  { method }: CallContext,
): Promise<unknown> {
  if (target === null || !FORWARDED.has(method)) {
    throw new RemoteError(
      `undefined method \`${method.slice(0, 100)}' for a worker`,
      "NoMethodError",
    );
  }
  return connection.invoke(target, "public_send", [symbol(method), ...positional], {
    options,
    timeoutMs: FORWARDED_MS,
  });
}
