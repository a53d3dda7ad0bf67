// The Unix-socket client in a worker: registers, opens the observer it is told to open, and comes
// back for as long as the process lives. The application never waits for it.

import { lstatSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { basename, dirname, join, resolve } from "node:path";
import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers";
import { Connection } from "./bus/connection.ts";
import { plain } from "./bus/values.ts";
import { defaultSocket } from "./directory.ts";
import { startTimeOf } from "./holder.ts";
import { type Logger, safely, silentLogger, stderrLogger } from "./log.ts";
import { selectMapping } from "./mapping/index.ts";
import type { MappingName } from "./mapping/name.ts";
import type { Metric } from "./metric.ts";
import { DifferentFileError, FLUSH_MS, Observer, type ObserverOptions } from "./observer.ts";
import { Registry } from "./registry.ts";
import { type MetricName, Schema, type SchemaDefinition, type TextName } from "./schema.ts";
import type { Text } from "./text.ts";
import { checkSocketPath } from "./unix_socket.ts";
import { rowsToWire, symbolMap, WIRE_VERSION } from "./wire.ts";

const FIRST_RETRY_MS = 20;
const LONGEST_RETRY_MS = 1000;
/** A supervisor that gave us no segment is asked again after this time, then less and less often. */
const REFUSED_RETRY_MS = 2500;
const LONGEST_REFUSED_RETRY_MS = 60_000;
const GOODBYE_MS = 1000;
const HEARTBEAT_MS = 500;
/** Fields that are added one after another are told in one go. */
const RENEWAL_MS = 50;
/** A timer of more fires at once. */
const LONGEST_HEARTBEAT_MS = 0x7fffffff;

export interface WorkerOptions<Name extends string = string, TextNames extends string = string> {
  /** The service this process belongs to. */
  name?: string | undefined;
  registry: Registry<Name, TextNames>;
  /**
   * Path of the supervisor's socket; `UTILIZATION_SUPERVISOR` or the default folder's
   * `default.ipc` otherwise.
   */
  socket?: string | undefined;
  /** What else the supervisor is told, by name. */
  state?: Readonly<Record<string, string | number | boolean | null>> | undefined;
  /** Forces one way of mapping. */
  mapping?: MappingName | undefined;
  /** Refuses to register without a mapping: values would be late, and absent while blocked. */
  requireMapping?: boolean | undefined;
  /** User ids a supervisor may have besides this process's own and root. */
  owners?: readonly number[] | undefined;
  /** Without a mapping: how often values are written to the file; 100 by default. */
  flushMs?: number | undefined;
  /**
   * How often the event loop shows that it runs; 500 by default. With 0 it does not, and this
   * worker is never called stalled.
   */
  heartbeatMs?: number | undefined;
  log?: Logger | undefined;
}

/**
 * Keeps a registry visible to a supervisor: registers, and registers again whenever the supervisor
 * was away. It never throws into the application, never keeps its process alive, and says one line
 * per change of state.
 */
export class Worker<Name extends string = string, TextNames extends string = string> {
  readonly registry: Registry<Name, TextNames>;
  /** Path of the supervisor's socket. */
  readonly socket: string;
  readonly #options: WorkerOptions<Name, TextNames>;
  readonly #log: Logger;
  #connection: Connection | null = null;
  /** The connection under which the supervisor knows us until the new one has registered. */
  #outdated: Connection | null = null;
  /** What the supervisor was told is not so any more. */
  #isOutdated = false;
  #renewal: ReturnType<typeof setTimeout> | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #retryMs = FIRST_RETRY_MS;
  #refusedRetryMs = REFUSED_RETRY_MS;
  #running = false;
  /** What came of this connection: whether its supervisor gave us a segment, and we took it. */
  #place: "none" | "taken" | "refused" = "none";
  #id: number | null = null;
  #said = "";
  readonly #heartbeatMs: number;
  /** Runs from the first segment on. */
  #heartbeat: ReturnType<typeof setInterval> | null = null;
  #saidNoRoom = false;

  /** @throws {RangeError} when the interval of the heartbeat is none that a timer can have. */
  constructor(options: WorkerOptions<Name, TextNames>) {
    const { heartbeatMs = HEARTBEAT_MS } = options;
    if (!(heartbeatMs === 0 || (heartbeatMs >= 1 && heartbeatMs <= LONGEST_HEARTBEAT_MS))) {
      throw new RangeError(
        `Cannot use heartbeatMs ${heartbeatMs}: must be 0, or from 1 to ${LONGEST_HEARTBEAT_MS}`,
      );
    }
    this.#heartbeatMs = heartbeatMs;
    this.#options = options;
    this.registry = options.registry;
    this.registry.onGrowth = () => this.reregister();
    this.socket = resolve(options.socket ?? defaultSocket());
    this.#log = safely(options.log ?? stderrLogger);
  }

  /** The metrics by name. */
  get metrics(): { readonly [Key in Name]: Metric } {
    return this.registry.metrics;
  }

  /** The texts by name. */
  get texts(): { readonly [Key in TextNames]: Text } {
    return this.registry.texts;
  }

  /** The id that the supervisor knows this worker by; null while it does not. */
  get id(): number | null {
    return this.#id;
  }

  /** How values reach the file: null while there is none, `"none"` is through file I/O. */
  get mapping(): MappingName | null {
    return this.registry.observer?.mapping ?? null;
  }

  /** Starts to look for the supervisor. On Windows there is none, and this does nothing. */
  run(): this {
    if (this.#running || process.platform === "win32") return this;
    this.#running = true;
    // Not now: whoever starts a worker shall not wait for the file system.
    this.#retry(0);
    return this;
  }

  #retry(delayMs: number): void {
    if (!this.#running) return;
    this.#timer = setTimeout(() => this.#connect(), delayMs);
    this.#timer.unref();
  }

  #retryLater(): void {
    const jitter = 0.5 + Math.random() / 2;
    this.#retry(this.#retryMs * jitter);
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
  }

  #connect(): void {
    this.#isOutdated = false;
    let owner: number;
    let state: Map<unknown, unknown>;
    try {
      owner = this.#checkSocket();
      state = this.#state();
    } catch (error) {
      this.#sayError(error);
      this.#retryLater();
      return;
    }
    const socket = connectSocket(this.socket);
    socket.unref();
    const connection = new Connection({
      socket,
      accepting: false,
      // What goes wrong is said here, once per change of state.
      log: silentLogger,
      onClose: (reason) => this.#disconnected(connection, reason),
    });
    connection.label = `supervisor at "${this.socket}"`;
    connection.patient = true;
    this.#connection = connection;
    this.#place = "none";
    const worker = connection.bind("worker", {
      setup_utilization_observer: (place) => {
        try {
          if (connection !== this.#connection) throw new Error("the connection was given up");
          return this.#setup(place, owner);
        } catch (error) {
          this.#refuse(error);
          throw error;
        }
      },
    });
    const options = { process_id: process.pid, state };
    connection
      .invoke("supervisor", "register", [worker], { options })
      .then(
        (id) => this.#registered(connection, id),
        (error: unknown) => this.#refused(connection, error),
      )
      // A logger that throws must not end the application.
      .catch(() => {});
  }

  /** A stranger's socket is not obeyed. Returns the user id of its owner. */
  #checkSocket(): number {
    checkSocketPath(this.socket);
    const status = lstatSync(this.socket);
    if (!status.isSocket()) throw new Error(`Cannot use "${this.socket}": it is not a socket`);
    const owners = [process.geteuid?.() ?? 0, 0, ...(this.#options.owners ?? [])];
    if (!owners.includes(status.uid)) {
      throw new Error(
        `Cannot obey the supervisor at "${this.socket}": it belongs to user ${status.uid}, not to ${owners.join(", ")}`,
      );
    }
    return status.uid;
  }

  #state(): Map<unknown, unknown> {
    const { name, state, mapping } = this.#options;
    const own = {
      wire: WIRE_VERSION,
      name,
      incarnation: this.registry.incarnation,
      start_time: startTime(),
      mapping: selectMapping(mapping).mapping,
      heartbeat: this.#heartbeatMs === 0 ? null : this.#heartbeatToWire(),
    };
    const known = Object.entries({ ...state, ...own }).filter(([, value]) => value != null);
    return symbolMap(Object.fromEntries(known));
  }

  /** Where the supervisor will find the heartbeat, and how often it moves in the file at least. */
  #heartbeatToWire(): Map<unknown, unknown> {
    const { mapping } = this.#options;
    const isMapped = selectMapping(mapping).mapping !== "none";
    const { flushMs = isMapped ? 0 : FLUSH_MS } = this.#options;
    return symbolMap({
      offset: this.registry.schema.heartbeatOffset,
      interval_ms: Math.max(this.#heartbeatMs, flushMs),
    });
  }

  /** The supervisor tells us our place: we move there, and answer with our schema. */
  #setup(place: readonly unknown[], owner: number): unknown {
    const [path, size, offset, identity] = place.map(plain);
    if (typeof path !== "string" || typeof size !== "number" || typeof offset !== "number") {
      throw new TypeError("path, segment size and offset expected");
    }
    const { mapping, requireMapping, flushMs, owners = [] } = this.#options;
    this.registry.fit(size);
    const observer = this.#open({
      path,
      identity: typeof identity === "string" ? identity : undefined,
      size,
      offset,
      schema: this.registry.schema,
      mapping,
      flushMs,
      owners: [owner, ...owners],
      log: this.#log,
    });
    if (requireMapping && observer.mapping === "none") {
      observer.close();
      throw new Error(`Cannot observe without a mapping: ${observer.mappingReason}`);
    }
    // There is no way back: as soon as the supervisor has our answer, the old segment may become
    // another worker's. Until then it keeps what we had counted.
    const previous = this.registry.observer;
    this.#startHeartbeat(observer);
    this.registry.attach(observer);
    previous?.close();
    this.#place = "taken";
    return rowsToWire(this.registry.schema.toRows());
  }

  /**
   * A shared folder may have another path here than at the supervisor: then the file is beside the
   * socket, as it is there.
   */
  #open(options: ObserverOptions<Name>): Observer<Name> {
    try {
      return Observer.open(options);
    } catch (error) {
      const isElsewhere =
        error instanceof DifferentFileError ||
        ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");
      const path = join(dirname(this.socket), basename(options.path));
      if (!isElsewhere || path === options.path) throw error;
      try {
        return Observer.open({ ...options, path });
      } catch (other) {
        const { message } = error as Error;
        throw new Error(`${message}, nor can the file beside the socket be used`, { cause: other });
      }
    }
  }

  /** The first beat is in the segment before the supervisor has our answer. */
  #startHeartbeat(observer: Observer<Name>): void {
    if (this.#heartbeatMs === 0) return;
    if (observer.beat()) {
      this.#heartbeat ??= setInterval(() => this.registry.observer?.beat(), this.#heartbeatMs);
      this.#heartbeat.unref();
    } else if (!this.#saidNoRoom) {
      this.#saidNoRoom = true;
      this.#log.warn(
        `The fields leave no room for a heartbeat in the segment: supervisor at "${this.socket}" cannot see whether this worker is stalled`,
      );
    }
  }

  #refuse(error: unknown): void {
    const { message } = error as Error;
    if (this.#place === "none") this.#place = "refused";
    // The reason may name another segment each time: that is nothing new.
    this.#say(
      "warn",
      `Refused the segment of supervisor at "${this.socket}": ${message}`,
      "refused",
    );
  }

  #registered(connection: Connection, id: unknown): void {
    if (connection !== this.#connection) return;
    if (this.#place !== "taken") {
      if (this.#place === "none")
        this.#say("warn", `Supervisor at "${this.socket}" gave no segment, asking again later`);
      this.#reconnect(connection);
      return;
    }
    this.#refusedRetryMs = REFUSED_RETRY_MS;
    this.#id = typeof id === "number" ? id : null;
    this.#retryMs = FIRST_RETRY_MS;
    this.#say("info", `Registered with supervisor at "${this.socket}" (mapping: ${this.mapping})`);
    // The incarnation is the same: the supervisor has dropped the old registration for this one.
    this.#outdated?.close();
    this.#outdated = null;
    if (this.#isOutdated) this.reregister();
  }

  /**
   * Registers anew soon, if it is registered: with the fields and the name of then, and with all its
   * values. It is seen all the time.
   *
   * @internal
   */
  reregister(): void {
    this.#isOutdated = true;
    if (this.#id === null || this.#outdated !== null || this.#renewal !== null) return;
    this.#renewal = setTimeout(() => {
      this.#renewal = null;
      // Whoever lost the supervisor meanwhile comes back with what is true then.
      if (this.#id === null || this.#connection === null) return;
      this.#outdated = this.#connection;
      this.#connection = null;
      this.#connect();
    }, RENEWAL_MS);
    this.#renewal.unref();
  }

  #refused(connection: Connection, error: unknown): void {
    if (connection.closed || connection !== this.#connection) return;
    this.#sayError(error);
    this.#reconnect(connection);
  }

  /** A registration cannot be repeated on the same connection. */
  #reconnect(connection: Connection): void {
    this.#connection = null;
    connection.close();
    this.#retry(this.#refusedRetryMs * (0.5 + Math.random() / 2));
    this.#refusedRetryMs = Math.min(this.#refusedRetryMs * 2, LONGEST_REFUSED_RETRY_MS);
  }

  #disconnected(connection: Connection, reason: string): void {
    if (connection === this.#outdated) {
      this.#outdated = null;
      // The newer one tells, if there is one: else it was refused, and waits to be made again.
      if (this.#connection !== null) return;
      if (this.#timer !== null) clearTimeout(this.#timer);
    } else if (connection !== this.#connection) {
      return;
    } else if (this.#outdated !== null) {
      // By that it is still registered.
      this.#reconnect(connection);
      return;
    }
    this.#connection = null;
    if (this.#id !== null) {
      this.#say("warn", `Lost supervisor at "${this.socket}" (${reason}), counting on`);
    } else if (!/\b(ENOENT|ECONNREFUSED)\b/.test(reason)) {
      this.#say(
        "warn",
        `Cannot register with supervisor at "${this.socket}": ${reason}`,
        "unreachable",
      );
    }
    this.#id = null;
    this.#retryLater();
  }

  /** No supervisor is no fault: the application may run without one. */
  #sayError(error: unknown): void {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ECONNREFUSED") this.#log.debug(message);
    else this.#say("warn", message);
  }

  /** One line per change of state. */
  #say(level: "info" | "warn", message: string, state: string = message): void {
    if (this.#said === state) return;
    this.#said = state;
    this.#log[level](message);
  }

  /**
   * Says goodbye: values are final, and the supervisor may reuse the segment. The metrics go on in
   * private memory. Idempotent.
   */
  async close(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#renewal !== null) clearTimeout(this.#renewal);
    this.#renewal = null;
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
    this.#heartbeat = null;
    const connections = [this.#outdated, this.#connection].filter((one) => one !== null);
    this.#outdated = null;
    this.#connection = null;
    const { observer } = this.registry;
    this.registry.attach(null);
    observer?.close();
    if (this.#id !== null) {
      // Nothing else may keep the process alive until this is answered.
      const hold = setTimeout(() => {}, GOODBYE_MS * 2);
      // A Ruby supervisor does not know this call; it notices the end of the connection.
      const goodbyes = connections.map((connection) =>
        connection.invoke("supervisor", "unregister", [], { timeoutMs: GOODBYE_MS }),
      );
      await Promise.allSettled(goodbyes);
      clearTimeout(hold);
    }
    this.#id = null;
    for (const connection of connections) connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

let ownStartTime: string | null | undefined;

/** When this process started: tells it from others of the same pid in other containers. */
function startTime(): string | null {
  ownStartTime ??= startTimeOf(process.pid);
  return ownStartTime;
}

/** What {@link connect} takes besides a worker's options. */
export interface ConnectOptions<Definition extends SchemaDefinition>
  extends Omit<WorkerOptions, "registry"> {
  /** The fields, as `Schema.build` takes them. */
  schema: Definition;
}

/**
 * Makes the metrics of this process and keeps them visible to the supervisor. Returns at once;
 * without a supervisor everything runs unchanged.
 *
 * @example
 * ```ts
 * const { requests_total, requests_active } = connect({
 *   name: "web",
 *   schema: { requests_total: "u64", requests_active: "u32" },
 * }).metrics;
 * requests_total.increment();
 * await requests_active.track(() => handle(request));
 * ```
 */
export function connect<const Definition extends SchemaDefinition>(
  options: ConnectOptions<Definition>,
): Worker<MetricName<Definition>, TextName<Definition>> {
  const { schema, ...rest } = options;
  const log = safely(options.log ?? stderrLogger);
  const registry = new Registry(Schema.build(schema), { log });
  return new Worker({ ...rest, registry }).run();
}
