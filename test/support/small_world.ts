// A supervisor, one or two workers, and what can happen to them, one step at a time. The monitor,
// its file and the workers' registries and observers are the real ones; processes and the clock
// are not, so that everything happens in exactly the order that is asked for.
//
// Nothing here waits for more than promises that are settled already, but for opening a monitor:
// no timer fires between two steps, and the same steps always lead to the same state.

import assert from "node:assert/strict";
import { lstatSync, rmSync } from "node:fs";
import { join } from "node:path";
import { RemoteError } from "../../host/bus/errors.ts";
import type { Evidence } from "../../host/holder.ts";
import { silentLogger } from "../../host/log.ts";
import { Observer } from "../../host/observer.ts";
import type { FileRange, ProcessTable } from "../../host/process_table.ts";
import { Registry } from "../../host/registry.ts";
import { Schema } from "../../host/schema.ts";
import {
  UtilizationMonitor,
  type UtilizationMonitorOptions,
} from "../../host/utilization_monitor.ts";
import type { WorkerController } from "../../host/worker_controller.ts";
import { CollectingLogger } from "./log.ts";

/** What a supervisor can know of a worker. */
export interface Kind {
  /** One of ours tells its incarnation and when its process started; Ruby's workers do not. */
  readonly own: boolean;
  /** Whether the supervisor can see its process. */
  readonly visible: boolean;
  /** Whether it maps its segment, or writes by file I/O. */
  readonly mapped: boolean;
}

export const KINDS = {
  mapped: { own: true, visible: true, mapped: true },
  unmapped: { own: true, visible: true, mapped: false },
  hidden: { own: true, visible: false, mapped: true },
  foreign: { own: false, visible: true, mapped: true },
  "hidden foreign": { own: false, visible: false, mapped: true },
} as const satisfies Record<string, Kind>;

export interface SmallWorldOptions {
  /** An existing folder, used by one world at a time. */
  readonly folder: string;
  /** One worker of each. */
  readonly kinds: readonly (keyof typeof KINDS)[];
  /** Whether the supervisor may be killed, closed and started again. */
  readonly restarts?: boolean;
  /** Breaks the monitor on purpose. */
  readonly fault?: (monitor: UtilizationMonitor) => void;
}

/** One page: of two segments, one can be mapped without the other. */
const SEGMENT_SIZE = 4096;
const LEASE_MS = 60_000;
const SERVICE = "web";
/** A worker may be back before its last connection has ended, but not many times over. */
const MOST_CONNECTIONS = 2;
/** Start time of the process that has the number of hidden workers where the supervisor is. */
const STRANGER = "1";

type Fields = "requests_total";
const SCHEMA: Schema<Fields> = Schema.build({ requests_total: "u64" });

/** What has become of a segment that was handed out, as the supervisor should see it. */
type Fate =
  /** Its worker was asked for its fields. */
  | "held"
  | "live"
  | "detached"
  /** Its counters are in the retired base, and can be taken out again if its worker returns. */
  | "retired"
  /** Nothing is left of it. */
  | "free";

interface Place {
  readonly process: Process;
  readonly inode: bigint;
  readonly offset: number;
  /** What is in memory there. */
  value: number;
  fate: Fate;
  evidence: Evidence;
  /** Whether the supervisor has looked what its process maps since it is detached. */
  looked: boolean;
  /** Whether the supervisor was told its fields. */
  described: boolean;
  /**
   * Whether it was handed to another since. Then nobody may write there as its holder: a hidden
   * one that still did, after its lease, would spoil what the other counts. That is not tried.
   */
  reissued: boolean;
}

interface Process {
  readonly kind: Kind;
  readonly processId: number;
  readonly startTime: string;
  readonly registry: Registry<Fields>;
  alive: boolean;
  stopped: boolean;
  /** Where it writes. */
  place: Place | null;
  /** What the supervisor has to count of it: its last place that was described. */
  counted: { readonly value: number };
}

interface Connection {
  readonly process: Process;
  readonly controller: WorkerController;
  readonly place: Place;
  /** Whether the worker's process was to be seen when it was asked. */
  readonly seen: boolean;
  stage: "asked" | "answered" | "live" | "superseded";
  /** Settles the monitor's call to the worker, and waits for what the monitor makes of it. */
  resolve(rows: unknown): Promise<void>;
  reject(error: Error): Promise<void>;
}

/** A worker, its predecessors, and the connections that the supervisor has of them. */
interface Slot {
  readonly name: string;
  readonly kind: Kind;
  process: Process;
  readonly connections: Connection[];
}

export class SmallWorld {
  readonly #options: SmallWorldOptions;
  readonly #path: string;
  readonly #log: CollectingLogger = new CollectingLogger();
  readonly #slots: readonly Slot[];
  readonly #processes: Process[] = [];
  readonly #places: Place[] = [];
  /** Connections to a supervisor that was killed with a call unanswered. */
  readonly #orphans: Connection[] = [];
  readonly #killed: UtilizationMonitor[] = [];
  #monitor: UtilizationMonitor | null = null;
  #sight: Sight | null = null;
  #now = 0;
  #nextId = 1;

  private constructor(options: SmallWorldOptions) {
    this.#options = options;
    this.#path = join(options.folder, "small.shm");
    this.#slots = options.kinds.map((name, index) => {
      const kind = KINDS[name];
      // In a container of its own every worker is process 1.
      const processId = kind.visible || !kind.own ? 100 + index : 1;
      return {
        name: String.fromCharCode(65 + index),
        kind,
        process: this.#spawn(kind, processId, 10),
        connections: [],
      };
    });
  }

  /** A world in which nobody has registered yet. */
  static async create(options: SmallWorldOptions): Promise<SmallWorld> {
    const world = new SmallWorld(options);
    await world.#open();
    return world;
  }

  #spawn(kind: Kind, processId: number, startTime: number): Process {
    const process: Process = {
      kind,
      processId,
      startTime: String(startTime),
      registry: new Registry(SCHEMA, { log: silentLogger }),
      alive: true,
      stopped: false,
      place: null,
      counted: { value: 0 },
    };
    this.#processes.push(process);
    return process;
  }

  async #open(): Promise<void> {
    this.#sight = new Sight(this.#processes);
    const sight = this.#sight;
    const options: UtilizationMonitorOptions = {
      path: this.#path,
      // Room for two: the third segment makes the file grow.
      size: 2 * SEGMENT_SIZE,
      segmentSize: SEGMENT_SIZE,
      leaseMs: LEASE_MS,
      mapping: "none",
      processes: sight,
      now: () => (sight.ended ? 0 : this.#now),
      log: this.#log,
    };
    this.#monitor = new UtilizationMonitor(options);
    await this.#monitor.open();
    this.#options.fault?.(this.#monitor);
  }

  /** What can happen now, by name. */
  steps(): Map<string, () => Promise<void> | void> {
    const steps = new Map<string, () => Promise<void> | void>();
    for (const slot of this.#slots) this.#addSteps(slot, steps);
    if (this.#monitor === null) {
      steps.set("start", () => this.#start());
      return steps;
    }
    const fates = new Set(this.#places.map(({ fate }) => fate));
    if (fates.has("detached") || fates.has("retired")) steps.set("check", () => this.#check());
    if (fates.has("detached")) steps.set("lease", () => this.#endLeases());
    if (this.#options.restarts === true) {
      steps.set("kill", () => this.#kill());
      steps.set("close", () => this.#close());
    }
    return steps;
  }

  #addSteps(slot: Slot, steps: Map<string, () => Promise<void> | void>): void {
    const { name, kind, process, connections } = slot;
    const { alive, stopped, place } = process;
    const add = (step: string, action: () => Promise<void> | void): void => {
      steps.set(`${name}.${step}`, action);
    };
    const running = alive && !stopped;
    const newest = connections.findLast((connection) => connection.process === process);
    const answered = connections.find(({ stage }) => stage === "answered");
    if (running) {
      if (this.#mayConnect(slot, newest)) {
        add("attach", () => this.#attach(slot));
        add("ask", async () => void (await this.#ask(slot)));
      }
      if (newest?.stage === "asked") {
        add("answer", () => this.#answer(newest));
        add("refuse", () => this.#refuse(slot, newest));
      }
      if (place?.reissued !== true) add("store", () => this.#store(process));
      if (kind.own && place !== null) add("leave", () => this.#leave(slot, newest));
      add("stop", () => {
        process.stopped = true;
      });
    }
    if (answered !== undefined) add("deliver", () => this.#deliver(answered));
    if (connections.length > 0) add("drop", () => this.#drop(slot));
    if (alive) {
      if (stopped) {
        add("continue", () => {
          process.stopped = false;
        });
      }
      add("die", () => this.#die(process));
    } else if (kind.own || kind.visible) {
      // A hidden foreign process of the same number could not be told from its predecessor.
      add("spawn", () => this.#respawn(slot));
    }
  }

  #mayConnect({ kind, connections }: Slot, newest: Connection | undefined): boolean {
    if (this.#monitor === null || connections.length >= MOST_CONNECTIONS) return false;
    if (newest === undefined) return true;
    // What a worker has sent is read before what it sends on its next connection.
    return kind.own && newest.stage !== "answered";
  }

  // What workers do.

  #store({ registry, place }: Process): void {
    registry.metrics.requests_total.increment();
    registry.observer?.flush();
    if (place !== null) place.value = countOf(registry);
  }

  #die(process: Process): void {
    process.alive = false;
    process.registry.observer?.close();
  }

  #respawn(slot: Slot): void {
    const { processId, startTime } = slot.process;
    slot.process = this.#spawn(slot.kind, processId, Number(startTime) + 1);
  }

  /** Registers without anything coming in between. */
  async #attach(slot: Slot): Promise<void> {
    const connection = await this.#ask(slot);
    this.#answer(connection);
    await this.#deliver(connection);
  }

  /** The supervisor gives the worker a segment and asks it to move there. */
  async #ask({ process, connections }: Slot): Promise<Connection> {
    const { own } = process.kind;
    const { processId, startTime, registry } = process;
    const call = deferred<unknown>();
    const asked = deferred<number>();
    const controller: WorkerController = {
      id: this.#nextId++,
      processId,
      state: {
        name: SERVICE,
        ...(own && { incarnation: registry.incarnation, start_time: startTime }),
      },
      worker: {
        setupUtilizationObserver(_path, _segmentSize, offset) {
          asked.resolve(offset);
          return call.promise;
        },
      },
    };
    const seen = own && process.kind.visible && process.alive;
    const registering = this.#monitor!.register(controller);
    const offset = await Promise.race([
      asked.promise,
      registering.then(() => assert.fail("the worker was given no segment")),
    ]);
    const place: Place = {
      process,
      inode: lstatSync(this.#path, { bigint: true }).ino,
      offset,
      value: 0,
      fate: "held",
      evidence: "none",
      looked: false,
      described: false,
      reissued: false,
    };
    for (const other of this.#places) {
      other.reissued ||= other.inode === place.inode && other.offset === offset;
    }
    this.#places.push(place);
    const connection: Connection = {
      process,
      controller,
      place,
      seen,
      stage: "asked",
      resolve(rows) {
        call.resolve(rows);
        return registering;
      },
      reject(error) {
        call.reject(error);
        return registering;
      },
    };
    connections.push(connection);
    return connection;
  }

  /** The worker moves; its answer is on its way. */
  #answer(connection: Connection): void {
    const { process, place } = connection;
    const { registry } = process;
    const observer = Observer.open({
      path: this.#path,
      size: SEGMENT_SIZE,
      offset: place.offset,
      schema: SCHEMA,
      mapping: "none",
      flushMs: 1_000_000,
      log: silentLogger,
    });
    const previous = registry.observer;
    registry.attach(observer);
    previous?.close();
    process.place = place;
    place.value = countOf(registry);
    connection.stage = "answered";
  }

  async #deliver(connection: Connection): Promise<void> {
    await connection.resolve(SCHEMA.toRows());
    const { process, place, seen } = connection;
    place.fate = "live";
    place.described = true;
    place.evidence = evidenceOf(place, seen);
    connection.stage = "live";
    process.counted = place;
    for (const other of this.#places) {
      if (other.process !== process || other === place || other.fate === "held") continue;
      // A foreign worker is known by what it has counted.
      if (process.kind.own || other.described) other.fate = "free";
    }
    for (const { connections } of this.#slots) {
      for (const other of connections) {
        if (other.stage === "live" && other.place.fate === "free") other.stage = "superseded";
      }
    }
  }

  /** The worker cannot use the segment, and says so. */
  async #refuse({ connections }: Slot, connection: Connection): Promise<void> {
    connections.splice(connections.indexOf(connection), 1);
    await connection.reject(new RemoteError("refused"));
    this.#monitor!.remove(connection.controller);
    connection.place.fate = "free";
  }

  /** A clean goodbye, where there is still somebody to say it to. */
  #leave({ connections, process }: Slot, newest: Connection | undefined): void {
    const { registry } = process;
    const { observer } = registry;
    registry.attach(null);
    observer?.close();
    process.place = null;
    if (newest?.stage !== "live") return;
    connections.splice(connections.indexOf(newest), 1);
    this.#monitor!.unregister(newest.controller);
    this.#monitor!.remove(newest.controller);
    this.#retire(newest.place);
  }

  // What the supervisor does.

  /** It learns that the oldest connection of a worker has ended. */
  async #drop({ connections }: Slot): Promise<void> {
    await this.#end(connections.shift()!);
  }

  async #end({ controller, place, seen, stage, reject }: Connection): Promise<void> {
    const rejected = stage === "live" ? null : reject(new Error("The connection has ended"));
    this.#monitor!.remove(controller);
    await rejected;
    if (stage === "superseded") return;
    place.fate = "detached";
    if (stage !== "live") place.evidence = evidenceOf(place, seen);
    else if (place.evidence === "none") place.evidence = evidenceOf(place, false);
  }

  #check(): void {
    this.#monitor!.checkHolders();
    // What belongs to another place ends with it.
    for (const place of this.#places.toSorted((a, b) => +b.described - +a.described)) {
      if (place.fate === "detached") look(place);
      const { evidence, fate, process } = place;
      if (fate === "detached") {
        const left = evidence === "mapping" && !isMapped(place) && !this.#hasMoved(place);
        const isOver = (left || isKnownDead(place)) && !this.#isExpected(process);
        if (isOver && !this.#isNeeded(place)) this.#retire(place);
      } else if (fate === "retired" && isKnownDead(place) && !this.#isExpected(process)) {
        place.fate = "free";
      }
    }
  }

  /** Whether a registration is under way that may be this worker's. */
  #isExpected({ kind, registry, processId }: Process): boolean {
    return this.#slots.some(({ connections }) =>
      connections.some(
        ({ stage, process }) =>
          (stage === "asked" || stage === "answered") &&
          (kind.own ? process.registry === registry : process.processId === processId),
      ),
    );
  }

  /**
   * Whether a worker of ours goes on counting in a segment of which it could not tell. What it had
   * told of before waits for its end: only then is known how far it came.
   */
  #hasMoved({ process, described }: Place): boolean {
    return described && process.kind.own && this.#untoldPlacesOf(process).length > 0;
  }

  /** Whether a worker of ours has counted there what belongs to a place that it had told of. */
  #isNeeded({ process, described }: Place): boolean {
    if (described || !process.kind.own) return false;
    return this.#places.some(
      (place) => place.process === process && place.described && place.fate === "detached",
    );
  }

  #untoldPlacesOf(process: Process): Place[] {
    return this.#places.filter(
      (place) => place.process === process && !place.described && place.fate === "detached",
    );
  }

  /** So much time passes that no holder out of sight is waited for any longer. */
  #endLeases(): void {
    this.#now += LEASE_MS;
    this.#check();
    for (const place of this.#places) {
      if (place.fate === "detached" && place.evidence === "none") this.#retire(place);
    }
  }

  #retire(place: Place): void {
    const { process, described } = place;
    const value = this.#lastValueOf(place);
    // What a hidden holder may still write there does not count before it is back.
    if (process.counted === place) process.counted = { value };
    place.fate = described && !isKnownDead(place) ? "retired" : "free";
  }

  /** A worker of ours that had moved, and did not come to tell, has counted where it went. */
  #lastValueOf({ process, value, described }: Place): number {
    if (!process.kind.own || !described) return value;
    return Math.max(value, ...this.#untoldPlacesOf(process).map((other) => other.value));
  }

  /** Its process is killed: it does nothing any more, and the system takes its lock away. */
  #kill(): void {
    this.#sight!.ended = true;
    rmSync(`${this.#path}.lock`);
    this.#killed.push(this.#monitor!);
    this.#monitor = null;
    for (const { connections } of this.#slots) this.#orphans.push(...connections.splice(0));
    for (const { place, seen } of this.#orphans) {
      if (place.fate === "held") place.evidence = seen ? "process" : "none";
      if (place.fate === "held" || place.fate === "live") place.fate = "detached";
    }
  }

  /** A planned stop. */
  async #close(): Promise<void> {
    for (const { connections } of this.#slots) {
      for (const connection of connections.splice(0)) await this.#end(connection);
    }
    await this.#monitor!.close();
    this.#monitor = null;
  }

  async #start(): Promise<void> {
    await this.#open();
    for (const place of this.#places) place.looked = false;
    this.#check();
  }

  // What has to hold.

  /**
   * The oracle: what each worker has in memory, where the supervisor was told of it, is in the
   * totals once; and no segment is lost.
   *
   * @throws {AssertionError} when it does not hold.
   */
  verify(): void {
    const errors = this.#log.with("error ").filter((line) => !line.includes("Error setting up"));
    assert.deepEqual(errors, [], "errors in the log");
    const monitor = this.#monitor;
    if (monitor === null) return;
    const connections = this.#slots.flatMap((slot) => slot.connections);
    const live = connections.filter(({ stage }) => stage === "live");
    const count = this.#processes.reduce((sum, { counted }) => sum + counted.value, 0);
    const totals = monitor.totals()[SERVICE];
    assert.equal(totals?.requests_total ?? 0, count, "totals()");
    assert.equal(totals?.worker_count ?? 0, live.length, "worker_count in totals()");
    const now = live.reduce((sum, { place }) => sum + place.value, 0);
    const sample = monitor.sample()[SERVICE];
    assert.equal(sample?.requests_total ?? 0, now, "sample()");
    assert.equal(sample?.worker_count ?? 0, live.length, "worker_count in sample()");
    const { segmentCount, availableCount } = monitor.allocator!;
    const used = this.#places.filter(({ fate }) => fate !== "free" && fate !== "retired");
    assert.equal(segmentCount - availableCount, used.length, "segments in use");
    const detached = used.filter(({ fate }) => fate === "detached");
    assert.equal(monitor.detachedCount, detached.length, "detached segments");
  }

  /** Lets everything come to its end: all that was counted must be retired then, and all free. */
  async settle(): Promise<void> {
    if (this.#monitor === null) await this.#start();
    for (const slot of this.#slots) {
      if (slot.process.alive) this.#die(slot.process);
      while (slot.connections.length > 0) await this.#drop(slot);
    }
    this.#endLeases();
    this.verify();
    assert.equal(this.#monitor!.detachedCount, 0, "detached segments");
  }

  /**
   * Everything that decides what can follow. Left out is what can only be told apart by *where*
   * values are: the offsets of segments, the order of the free list, and how long each has rested.
   */
  key(): string {
    const indexOf = (place: Place | null): number => (place === null ? -1 : kept.indexOf(place));
    const kept = this.#places.filter(
      (place) => place.fate !== "free" || place.process.place === place,
    );
    const places = kept.map((place) => {
      const { value, fate, evidence, looked, described, reissued, process } = place;
      const holder = this.#processes.indexOf(process);
      return [holder, value, fate, evidence, looked, described, reissued];
    });
    const slots = this.#slots.map(({ process, connections }) => [
      this.#processes.indexOf(process),
      connections.map(({ place, stage, seen }) => [indexOf(place), stage, seen]),
    ]);
    const processes = this.#processes.map(({ alive, stopped, place, counted, registry }) =>
      alive ? [stopped, indexOf(place), counted.value, countOf(registry)] : [counted.value],
    );
    return JSON.stringify([this.#monitor !== null, slots, processes, places]);
  }

  /** Ends everything, whatever has become of it. */
  async dispose(): Promise<void> {
    for (const slot of this.#slots) this.#orphans.push(...slot.connections);
    for (const { reject } of this.#orphans) await reject(new Error("The world has ended"));
    for (const { registry } of this.#processes) registry.observer?.close();
    for (const monitor of this.#killed) await monitor.close();
    await this.#monitor?.close();
    for (const end of [".lock", ".journal", ""]) rmSync(this.#path + end, { force: true });
  }
}

/** The process table of one supervisor. */
class Sight implements ProcessTable {
  readonly #processes: readonly Process[];
  /** Its supervisor has ended: it cannot look any more. */
  ended = false;

  constructor(processes: readonly Process[]) {
    this.#processes = processes;
  }

  #find(processId: number): Process | undefined {
    return this.#processes.findLast(
      (process) => process.processId === processId && process.kind.visible && process.alive,
    );
  }

  startTimeOf(processId: number): string | null | undefined {
    if (this.ended) return undefined;
    return processId === 1 ? STRANGER : (this.#find(processId)?.startTime ?? null);
  }

  mapsRange(processId: number, { inode, offset }: FileRange): boolean | null {
    const process = this.ended ? undefined : this.#find(processId);
    if (process === undefined) return null;
    const { kind, place } = process;
    return kind.mapped && place?.inode === inode && place.offset === offset;
  }
}

interface Deferred<Value> {
  readonly promise: Promise<Value>;
  resolve(value: Value): void;
  reject(error: Error): void;
}

function deferred<Value>(): Deferred<Value> {
  let settle!: Pick<Deferred<Value>, "resolve" | "reject">;
  const promise = new Promise<Value>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...settle };
}

function countOf(registry: Registry<Fields>): number {
  return Number(registry.metrics.requests_total.value);
}

function isMapped(place: Place): boolean {
  return place.process.kind.mapped && place.process.place === place;
}

/** How a supervisor that looks at it now can know that a holder is gone. */
function evidenceOf(place: Place, seen: boolean): Evidence {
  const { kind, alive } = place.process;
  // What ours map is looked at when they have gone from view.
  if (seen) return "process";
  if (!kind.visible || !alive) return "none";
  if (isMapped(place)) return "mapping";
  return kind.own ? "process" : "none";
}

/** The supervisor looks at what a process maps, once. */
function look(place: Place): void {
  const { kind, alive } = place.process;
  const isSeen = place.evidence === "process" && kind.visible && alive;
  if (!place.looked && isSeen && isMapped(place)) place.evidence = "mapping";
  place.looked = true;
}

function isKnownDead({ process, evidence }: Place): boolean {
  return evidence !== "none" && !process.alive;
}
