import assert from "node:assert/strict";
import { join } from "node:path";
import { RemoteError } from "../../host/bus/errors.ts";
import { isSigned, sizeOf } from "../../host/field_type.ts";
import type { MappingName } from "../../host/mapping/name.ts";
import { UtilizationMonitor } from "../../host/utilization_monitor.ts";
import type { Value } from "../../host/value.ts";
import { CollectingLogger } from "./log.ts";
import {
  type Content,
  type Lifetime,
  ModelAllocator,
  type ModelField,
  modelSample,
  modelTotals,
  type Report,
} from "./model.ts";
import { ModelWorker } from "./model_worker.ts";

const SEGMENT_SIZE = 1024;
const PER_PAGE = 4096 / SEGMENT_SIZE;
const LEASE_MS = 1000;

export interface WorldSettings {
  /** Segments of the file at first, at most as many as a page has. */
  readonly segments: number;
  /** Pages that the file may have in the end. */
  readonly pages: number;
  readonly reuseDelayMs: number;
  readonly mapping: MappingName | undefined;
}

/** What a worker does when it is asked for its schema. */
export type Reply = "answers" | "waits" | "has none" | "refuses" | "breaks off";

/** One registration of a lifetime, which has got a segment. */
interface Attempt {
  readonly worker: ModelWorker;
  readonly lifetime: Lifetime;
  readonly segment: number;
  readonly settled: Promise<void>;
  state: "asked" | "live" | "detached" | "over";
  /** Its connection has ended while it was asked. */
  gone: boolean;
  /** When the lease of a detached segment ends. */
  deadline: number;
  /** Its place among the detached, whose leases are looked at one after another. */
  place: number;
}

/** A real monitor over a real file, and beside it what it must tell. */
export class World {
  readonly #path: string;
  readonly #settings: WorldSettings;
  readonly #log: CollectingLogger = new CollectingLogger();
  readonly #lifetimes: Lifetime[] = [];
  readonly #attempts: Attempt[] = [];
  readonly #allocator: ModelAllocator;
  #monitor: UtilizationMonitor;
  #now = 0;
  #ids = 0;
  #registrations = 0;
  #departures = 0;
  /** Segments from the first to the last that was ever handed out. */
  #used = 0;

  constructor(folder: string, settings: WorldSettings) {
    this.#path = join(folder, "model.shm");
    this.#settings = settings;
    const { segments, pages } = settings;
    this.#allocator = new ModelAllocator(segments, pages * PER_PAGE, PER_PAGE);
    this.#monitor = this.#makeMonitor();
  }

  #makeMonitor(): UtilizationMonitor {
    const { segments, pages, reuseDelayMs, mapping } = this.#settings;
    return new UtilizationMonitor({
      path: this.#path,
      segmentSize: SEGMENT_SIZE,
      size: segments * SEGMENT_SIZE,
      maxSize: pages * PER_PAGE * SEGMENT_SIZE,
      reuseDelayMs,
      leaseMs: LEASE_MS,
      mapping,
      now: () => this.#now,
      log: this.#log,
    });
  }

  open(): Promise<void> {
    return this.#monitor.open();
  }

  /** Builds in a fault: the core forgets what the first worker that is retired has counted. */
  dropRetirement(): void {
    const { core } = this.#monitor.allocator!;
    const { exports } = core;
    let isDropped = false;
    const retire: typeof exports.retire = (group, sign) => {
      if (isDropped) return exports.retire(group, sign);
      isDropped = true;
      return 0;
    };
    Object.assign(core, { exports: { ...exports, retire } });
  }

  async close(): Promise<void> {
    await this.#monitor.close();
    for (const { worker } of this.#attempts) worker.close();
  }

  /** A new worker. Without an incarnation it is never known again. */
  async register(
    service: string,
    content: Content,
    identified: boolean,
    reply: Reply,
  ): Promise<void> {
    const incarnation = identified ? `incarnation ${this.#lifetimes.length}` : null;
    const lifetime = { service, incarnation, counted: null, registered: null };
    this.#lifetimes.push(lifetime);
    await this.#connect(lifetime, content, reply);
  }

  /** A worker that has got a segment before connects anew, with whatever it has counted by now. */
  async return(which: number, content: Content, reply: Reply): Promise<void> {
    const lifetime = this.#attempt(which)?.lifetime;
    if (lifetime === undefined || lifetime.incarnation === null) return;
    // One that holds a segment answers at once: in between, it alone knows in which one it counts.
    const own = this.#attempts.filter((one) => one.lifetime === lifetime);
    if (own.some(({ state }) => state === "asked")) return;
    const isHeld = own.some(
      ({ state, worker }) => state !== "over" && worker.content === lifetime.counted,
    );
    const mayMove = reply === "waits" || reply === "breaks off";
    await this.#connect(lifetime, content, isHeld && mayMove ? "answers" : reply);
  }

  async #connect(lifetime: Lifetime, content: Content, reply: Reply): Promise<void> {
    const worker = new ModelWorker(++this.#ids, lifetime, content);
    const segment = this.#allocator.allocate(this.#now);
    const settled = this.#monitor.register(worker);
    await Promise.race([worker.asked, settled]);
    assert.equal(worker.offset, segment === null ? null : segment * SEGMENT_SIZE, "its place");
    if (segment === null) return;
    this.#used = Math.max(this.#used, segment + 1);
    const state = "asked";
    const attempt: Attempt = {
      worker,
      lifetime,
      segment,
      settled,
      state,
      gone: false,
      deadline: 0,
      place: 0,
    };
    this.#attempts.push(attempt);
    await assert.rejects(this.#monitor.register(worker), /registered already/);
    await this.#reply(attempt, reply);
  }

  /** A worker that has let the monitor wait replies. */
  async reply(which: number, reply: Reply): Promise<void> {
    const asked = this.#attempts.filter(({ state }) => state === "asked");
    const attempt = asked[which % asked.length];
    if (attempt !== undefined) await this.#reply(attempt, reply);
  }

  async #reply(attempt: Attempt, reply: Reply): Promise<void> {
    const { worker, settled } = attempt;
    if (reply === "waits") return;
    if (reply === "answers") {
      worker.answer();
      await settled;
      this.#admit(attempt);
    } else if (reply === "breaks off") {
      worker.fail(new Error("connection lost"));
      await settled;
      this.#detach(attempt);
    } else {
      if (reply === "refuses") worker.fail(new RemoteError("no"));
      else worker.answerNothing();
      await settled;
      this.#free(attempt);
    }
  }

  #admit(attempt: Attempt): void {
    const { lifetime, worker } = attempt;
    // All that it had before: where it was registered, then what it left, as it left it.
    const others = this.#attempts.filter(({ state }) => state === "live").concat(this.#detached());
    for (const other of others) if (other.lifetime === lifetime) this.#free(other);
    attempt.state = "live";
    lifetime.counted = worker.content;
    lifetime.registered = ++this.#registrations;
    if (attempt.gone) this.#detach(attempt);
  }

  /** A connection ends, without a word. */
  remove(which: number): void {
    const attempt = this.#attempt(which);
    if (attempt === undefined) return;
    this.#monitor.remove(attempt.worker);
    if (attempt.state === "asked") attempt.gone = true;
    if (attempt.state === "live") this.#detach(attempt);
  }

  /** A worker says that it will not write any more. */
  unregister(which: number): void {
    const attempt = this.#attempt(which);
    if (attempt === undefined) return;
    this.#monitor.unregister(attempt.worker);
    if (attempt.state === "live") this.#retire(attempt, this.#now);
  }

  /** A worker stores other values, if the segment is still its own. */
  count(which: number, seeds: readonly bigint[]): void {
    const attempt = this.#attempt(which);
    if (attempt === undefined || attempt.state === "over") return;
    const { worker } = attempt;
    worker.content.values = fitted(worker.content.fields, seeds);
    worker.write();
  }

  /** Time passes, and leases end. */
  wait(ms: number): void {
    this.#now += ms;
    this.#monitor.checkHolders();
    for (const attempt of this.#detached()) {
      if (attempt.deadline > this.#now) continue;
      if (attempt.lifetime.counted === attempt.worker.content) {
        this.#retire(attempt, this.#restMoment());
      } else {
        this.#free(attempt);
      }
    }
  }

  /** The supervisor ends, and another one goes on with the file. */
  async restart(): Promise<void> {
    await this.#monitor.close();
    this.#monitor = this.#makeMonitor();
    await this.#monitor.open();
    // Of nobody it is known where they are: all leases begin anew, in order of registration.
    for (const attempt of this.#attempts) if (attempt.state !== "over") this.#detach(attempt);
    const held = new Set(this.#detached().map(({ segment }) => segment));
    const count = this.#monitor.allocator!.segmentCount;
    // Where nobody is known any more, the file is a new one.
    assert.ok(count === this.#allocator.count || held.size === 0, `${count} segments`);
    this.#used = held.size === 0 ? 0 : Math.max(...held) + 1;
    this.#allocator.adopt(count, this.#used, held, this.#restMoment());
  }

  #attempt(which: number): Attempt | undefined {
    return this.#attempts[which % this.#attempts.length];
  }

  #detached(): Attempt[] {
    const detached = this.#attempts.filter(({ state }) => state === "detached");
    return detached.sort((a, b) => a.place - b.place);
  }

  #restMoment(): number {
    return this.#now + this.#settings.reuseDelayMs;
  }

  #detach(attempt: Attempt): void {
    this.#leaveSamples(attempt);
    attempt.state = "detached";
    attempt.deadline = this.#now + LEASE_MS;
    attempt.place = ++this.#departures;
  }

  #retire(attempt: Attempt, moment: number): void {
    const { lifetime, worker } = attempt;
    lifetime.counted = { ...worker.content };
    this.#free(attempt, moment);
  }

  #free(attempt: Attempt, moment: number = this.#restMoment()): void {
    this.#leaveSamples(attempt);
    attempt.state = "over";
    this.#allocator.free(attempt.segment, moment);
  }

  #leaveSamples({ lifetime, state }: Attempt): void {
    if (state === "live") lifetime.registered = null;
  }

  /** Compares all that the monitor tells with the model. */
  check(): void {
    const monitor = this.#monitor;
    const live = this.#lifetimes.filter(({ registered }) => registered !== null);
    live.sort((a, b) => a.registered! - b.registered!);
    assert.deepEqual(reportOf(monitor.sample({ bigint: true })), modelSample(live), "sample()");
    assert.deepEqual(
      monitor.sampleByWorker({ bigint: true }).map(({ service, data }) => [service, entries(data)]),
      live.map(({ service, counted }) => [
        service,
        counted!.fields.map(({ name }, index) => [name, counted!.values[index]]),
      ]),
      "sampleByWorker()",
    );
    const totals = new Map<string, bigint>();
    for (const [service, data] of reportOf(monitor.totals({ bigint: true }))) {
      for (const [name, value] of data) {
        if (name !== "worker_count" && value !== 0n) totals.set(`${service} ${name}`, value);
      }
    }
    const byName = (map: Map<string, bigint>): unknown => [...map].sort();
    assert.deepEqual(byName(totals), byName(modelTotals(this.#lifetimes)), "totals()");
    const { availableCount, segmentCount } = monitor.allocator!;
    assert.equal(availableCount, this.#allocator.available, "free segments");
    assert.equal(segmentCount, this.#allocator.count, "segments");
    assert.equal(monitor.detachedCount, this.#detached().length, "detached segments");
    const held = this.#attempts.filter(({ state }) => state !== "over").length;
    assert.equal(availableCount + held, segmentCount, "each segment is free or somebody's");
  }
}

/** Values that fields can have, made of any integers. Floats get integers, which add up exactly. */
export function fitted(fields: readonly ModelField[], seeds: readonly bigint[]): bigint[] {
  return fields.map(({ type }, index) => {
    const seed = seeds[index % seeds.length] ?? 0n;
    if (/f/i.test(type)) return BigInt.asUintN(40, seed);
    return (isSigned(type) ? BigInt.asIntN : BigInt.asUintN)(sizeOf(type) * 8, seed);
  });
}

function reportOf(sample: Readonly<Record<string, Readonly<Record<string, Value>>>>): Report {
  return Object.entries(sample).map(([service, data]) => [service, entries(data)]);
}

function entries(data: Readonly<Record<string, Value>>): (readonly [string, bigint])[] {
  return Object.entries(data).map(([name, value]) => [name, BigInt(value)]);
}
