// Which workers are registered, and what becomes of their segments when they leave.
//
//   allocate ──► held ──► live ──► detached ──► free
//                 │ no fields        │ its holder returned: dropped, it counts in its new segment
//                 └──► free          └ its holder is gone: counters join the retired base
//
// A counter is in the totals exactly once, always.

import { RemoteError } from "./bus/errors.ts";
import { type FileRange, type Holder, identify, isGone, isProcessGone } from "./holder.ts";
import type { Logger } from "./log.ts";
import type { Value } from "./sampler.ts";
import { parseRows, type RejectedRow } from "./schema.ts";
import type { SegmentAllocator } from "./segment_allocator.ts";
import type { Group, Services } from "./services.ts";
import { serviceName, stateText, type WorkerController } from "./worker_controller.ts";

/** Retired workers that may still come back: more are forgotten, oldest first. */
const KEPT_DEPARTED = 4096;
/** Detached segments looked at in one turn of the event loop. */
const CHECKS_PER_TURN = 128;
const FIRST_CHECK_MS = 20;
const LONGEST_CHECK_MS = 1000;
/** Rejected fields named one by one in the log. */
const NAMED_REJECTIONS = 5;

export interface MembershipOptions {
  /** Absolute path of the file, as workers are told. */
  readonly path: string;
  readonly allocator: SegmentAllocator;
  readonly services: Services;
  /** How long a worker may take to answer. */
  readonly setupTimeoutMs: number;
  /** How long a segment waits for a holder that cannot be seen. */
  readonly leaseMs: number;
  readonly log: Logger;
}

/** A worker whose values are in samples. */
export interface Registration {
  readonly controller: WorkerController;
  readonly segment: number;
  readonly offset: number;
  readonly group: Group;
  readonly holder: Holder;
  readonly key: string | null;
  /** What a foreign worker had counted as it registered, where it may have come back. */
  readonly initial: Record<string, Value> | null;
}

/** A segment whose worker has gone from view. Without a group its fields were never known. */
interface Detached {
  readonly segment: number;
  readonly offset: number;
  readonly group: Group | null;
  readonly holder: Holder;
  readonly key: string | null;
  /** When the lease of a holder that cannot be seen ends. */
  readonly deadline: number;
}

/** A worker whose counters are in the retired base already, and which may come back with them. */
interface Departed {
  readonly group: Group;
  readonly row: Uint8Array;
  readonly holder: Holder;
  readonly key: string | null;
}

export class Membership {
  readonly #options: MembershipOptions;
  readonly #allocator: SegmentAllocator;
  readonly #services: Services;
  readonly #log: Logger;
  /** Registrations under way; true once their connection is gone. */
  readonly #pending: Map<number, { gone: boolean }> = new Map();
  readonly #live: Map<number, Registration> = new Map();
  /** Live workers that may be the same one: of one incarnation, or else of one process. */
  readonly #liveByKey: Map<string, Set<Registration>> = new Map();
  readonly #detached: Set<Detached> = new Set();
  readonly #departed: Set<Departed> = new Set();
  #check: ReturnType<typeof setTimeout> | null = null;
  #checkDelayMs = FIRST_CHECK_MS;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#allocator = options.allocator;
    this.#services = options.services;
    this.#log = options.log;
  }

  /** The live workers in registration order. */
  get live(): ReadonlyMap<number, Registration> {
    return this.#live;
  }

  /** How many segments wait to learn whether their holder lives. */
  get detachedCount(): number {
    return this.#detached.size;
  }

  /**
   * Gives a worker a segment and asks it for its schema. Whatever the worker does, nothing is
   * lost and nobody else waits: no state is held across the call to it.
   *
   * @throws {Error} when the id is registered already.
   */
  async register(controller: WorkerController): Promise<void> {
    const { id, worker } = controller;
    if (this.#live.has(id) || this.#pending.has(id)) {
      throw new Error(`Cannot register worker ${id}: it is registered already`);
    }
    if (worker === null) return;
    const offset = this.#allocate(id);
    if (offset === null) return;
    const pending = { gone: false };
    this.#pending.set(id, pending);
    try {
      const { path, setupTimeoutMs } = this.#options;
      const { segmentSize } = this.#allocator;
      const rows = await within(
        setupTimeoutMs,
        worker.setupUtilizationObserver(path, segmentSize, offset),
      );
      this.#pending.delete(id);
      this.#admit(controller, offset, rows);
      if (pending.gone) this.remove(controller);
    } catch (error) {
      this.#pending.delete(id);
      this.#log.error("Error setting up worker utilization", {
        worker_id: id,
        error: messageOf(error),
      });
      if (error instanceof RemoteError) this.#allocator.free(id);
      else this.#leaveUnknown(controller, offset);
    }
  }

  #allocate(id: number): number | null {
    const sizeBefore = this.#allocator.size;
    let reason: string;
    try {
      const offset = this.#allocator.allocate(id);
      const { size } = this.#allocator;
      if (size !== sizeBefore) {
        this.#log.info("Resized shared memory", { old_size: sizeBefore, new_size: size });
      }
      if (offset !== null) return offset;
      reason = `all ${this.#allocator.segmentCount} segments are taken and the file may not exceed ${this.#allocator.maxSize} bytes`;
    } catch (error) {
      reason = messageOf(error);
    }
    this.#log.warn("Failed to allocate utilization segment", { worker_id: id, reason });
    return null;
  }

  /** The worker has answered: its schema decides. */
  #admit(controller: WorkerController, offset: number, rows: unknown): void {
    const { id } = controller;
    const parsed = parseRows(rows, this.#allocator.segmentSize);
    if (parsed === null) {
      this.#allocator.free(id);
      this.#log.info("Worker did not provide utilization schema", { worker_id: id });
      return;
    }
    this.#logRejected(controller, parsed.rejected);
    const { segment } = this.#allocator.allocation(id)!;
    const group = this.#services.group(serviceName(controller.state), parsed.fields);
    const { core } = this.#allocator;
    core.checked(core.exports.attach(segment, group.index), `attach worker ${id}`);
    group.live++;
    this.#services.changed();
    const holder = this.#identify(controller, offset);
    const key = keyOf(holder);
    const isTwin = holder.incarnation === null && key !== null && this.#liveByKey.has(key);
    const initial = isTwin ? this.#values(group, offset) : null;
    const registration = { controller, segment, offset, group, holder, key, initial };
    this.#enter(registration);
    this.#supersede(registration);
    this.#log.info("Registered worker utilization", {
      worker_id: id,
      process_id: controller.processId,
      service: group.service.name,
      offset,
      fields: parsed.fields.length,
    });
  }

  #logRejected({ id, state }: WorkerController, rejected: readonly RejectedRow[]): void {
    for (const { index, name, reason } of rejected.slice(0, NAMED_REJECTIONS)) {
      const field = name === null ? `row ${index}` : `field "${name}"`;
      this.#log.warn(
        `Dropped ${field} of worker ${id} of service "${serviceName(state)}": ${reason}`,
      );
    }
    const more = rejected.length - NAMED_REJECTIONS;
    if (more > 0) this.#log.warn(`Dropped ${more} more fields of worker ${id}`);
  }

  /**
   * The worker's connection is gone. Its process may live and write: until that is known, its
   * segment is out of samples, in the totals, and nobody else's.
   */
  remove({ id }: WorkerController): void {
    const pending = this.#pending.get(id);
    if (pending !== undefined) pending.gone = true;
    const registration = this.#live.get(id);
    if (registration === undefined) return;
    this.#leave(registration);
    if (this.#hasReturnedAsAnother(registration)) this.#drop(registration);
    else
      this.#detach(
        registration.segment,
        registration.offset,
        registration.group,
        registration.holder,
      );
  }

  /**
   * The worker says that it will not write any more: its counters join the retired base now, and
   * its segment is free.
   */
  unregister({ id }: WorkerController): void {
    const registration = this.#live.get(id);
    if (registration === undefined) return;
    this.#leave(registration);
    const { segment, group, holder, offset } = registration;
    group.live--;
    this.#retire(segment, offset, group, holder, this.#allocator.now());
  }

  #enter(registration: Registration): void {
    const { key, controller } = registration;
    this.#live.set(controller.id, registration);
    if (key === null) return;
    const same = this.#liveByKey.get(key);
    if (same === undefined) this.#liveByKey.set(key, new Set([registration]));
    else same.add(registration);
  }

  #leave(registration: Registration): void {
    const { key, controller } = registration;
    this.#live.delete(controller.id);
    if (key === null) return;
    const same = this.#liveByKey.get(key)!;
    same.delete(registration);
    if (same.size === 0) this.#liveByKey.delete(key);
  }

  /** A worker that never told its fields, and of which it is not known what it does. */
  #leaveUnknown(controller: WorkerController, offset: number): void {
    const { segment } = this.#allocator.allocation(controller.id)!;
    this.#detach(segment, offset, null, this.#identify(controller, offset));
  }

  #detach(segment: number, offset: number, group: Group | null, holder: Holder): void {
    const { core } = this.#allocator;
    core.checked(core.exports.detach(segment), "detach a segment");
    if (group !== null) {
      group.live--;
      group.references++;
      this.#services.changed();
    }
    const deadline = this.#allocator.now() + this.#options.leaseMs;
    this.#detached.add({ segment, offset, group, holder, key: keyOf(holder), deadline });
    this.#checkDelayMs = FIRST_CHECK_MS;
    this.#scheduleCheck();
  }

  /** Reads a segment one last time, adds its counters to the retired base, and frees it. */
  #retire(segment: number, offset: number, group: Group, holder: Holder, moment: number): void {
    const { core, sampler } = this.#allocator;
    sampler.stageSegment(group.index, offset);
    core.checked(core.exports.retire(group.index, 1), "retire a worker");
    if (!isProcessGone(holder)) {
      const row = sampler.stagedRow(group.index);
      this.#departed.add({ group, row, holder, key: keyOf(holder) });
      group.references++;
    }
    this.#free(segment, moment);
    this.#services.changed();
    this.#services.release(group);
    if (this.#departed.size > KEPT_DEPARTED) {
      for (const departed of this.#departed) {
        this.#forgetDeparted(departed);
        break;
      }
    }
    this.#scheduleCheck();
  }

  #free(segment: number, moment: number): void {
    const { core } = this.#allocator;
    core.checked(core.exports.free(segment, moment), "free a segment");
  }

  #forgetDeparted(departed: Departed): void {
    this.#departed.delete(departed);
    departed.group.references--;
    this.#services.release(departed.group);
  }

  // A worker that lost its connection comes back with all its values, in a new segment. What it
  // left behind must not count as well: the segment it had, detached or still live because its
  // old connection has not ended yet, or what was retired from it.

  #supersede(registration: Registration): void {
    const { key, group, offset, holder } = registration;
    if (key === null) return;
    if (holder.incarnation !== null) {
      for (const other of this.#liveByKey.get(key)!) {
        if (other === registration) continue;
        this.#leave(other);
        this.#drop(other);
      }
      for (const detached of this.#detached) if (detached.key === key) this.#dropDetached(detached);
      for (const departed of this.#departed) if (departed.key === key) this.#readmit(departed);
      return;
    }
    // A foreign worker left one segment, in the same process, in which no counter is above its
    // own: of several, the one with the most counted.
    const mine = (left: Detached | Departed): boolean => left.key === key && left.group === group;
    const candidates: { values: Record<string, Value>; take: () => void }[] = [];
    for (const detached of [...this.#detached].filter(mine)) {
      const take = (): void => this.#dropDetached(detached);
      candidates.push({ values: this.#values(group, detached.offset), take });
    }
    for (const departed of [...this.#departed].filter(mine)) {
      const take = (): void => this.#readmit(departed);
      candidates.push({ values: this.#rowValues(group, departed.row), take });
    }
    if (candidates.length === 0) return;
    const now = this.#values(group, offset);
    candidates
      .filter(({ values }) => noneBelow(group, now, values))
      .sort((a, b) => totalOf(group, b.values) - totalOf(group, a.values))[0]
      ?.take();
  }

  /** A foreign worker can be back before its old connection ends. */
  #hasReturnedAsAnother({ key, controller, group, holder, offset }: Registration): boolean {
    if (key === null || holder.incarnation !== null) return false;
    const others = this.#liveByKey.get(key);
    if (others === undefined) return false;
    const values = this.#values(group, offset);
    for (const other of others) {
      if (other.group !== group || other.initial === null) continue;
      if (other.controller.id > controller.id && noneBelow(group, other.initial, values))
        return true;
    }
    return false;
  }

  /** Frees the segment of a worker that counts elsewhere now. */
  #drop({ segment, group }: Registration): void {
    group.live--;
    this.#free(segment, this.#reuseMoment());
    this.#services.changed();
    this.#services.release(group);
  }

  #dropDetached(detached: Detached): void {
    this.#detached.delete(detached);
    this.#free(detached.segment, this.#reuseMoment());
    if (detached.group === null) return;
    detached.group.references--;
    this.#services.release(detached.group);
  }

  /** Takes counters out of the retired base: their worker is back with them. */
  #readmit(departed: Departed): void {
    const { core, sampler } = this.#allocator;
    sampler.unstage(departed.row);
    core.checked(core.exports.retire(departed.group.index, -1), "readmit a worker");
    this.#forgetDeparted(departed);
  }

  #reuseMoment(): number {
    return this.#allocator.now() + this.#allocator.reuseDelayMs;
  }

  #values(group: Group, offset: number): Record<string, Value> {
    return this.#allocator.decode(group.index, offset, group.fields, true);
  }

  #rowValues(group: Group, row: Uint8Array): Record<string, Value> {
    this.#allocator.sampler.unstage(row);
    return this.#allocator.decodeStaged(group.index, group.fields, true);
  }

  // Whether the holders of detached segments still live is looked at soon, then less often.

  #scheduleCheck(): void {
    if (this.#check !== null || this.#detached.size + this.#departed.size === 0) return;
    this.#check = setTimeout(() => {
      this.#check = null;
      const all = this.checkHolders(CHECKS_PER_TURN);
      this.#checkDelayMs = all
        ? Math.min(this.#checkDelayMs * 2, LONGEST_CHECK_MS)
        : FIRST_CHECK_MS;
      this.#scheduleCheck();
    }, this.#checkDelayMs);
    this.#check.unref();
  }

  /**
   * Retires what is left of workers that are gone. Looks at `limit` holders at most; false when
   * there are more.
   */
  checkHolders(limit: number = Number.POSITIVE_INFINITY): boolean {
    const now = this.#allocator.now();
    let checked = 0;
    for (const detached of [...this.#detached]) {
      if (checked++ >= limit) return false;
      const range = this.#range(detached.offset);
      const gone = isGone(detached.holder, range);
      if (gone === true || (gone === null && now >= detached.deadline)) {
        this.#endDetached(detached, gone === true ? now : this.#reuseMoment());
      } else {
        // The others come first the next time.
        this.#detached.delete(detached);
        this.#detached.add(detached);
      }
    }
    for (const departed of [...this.#departed]) {
      if (checked++ >= limit) return false;
      if (isProcessGone(departed.holder)) {
        this.#forgetDeparted(departed);
      } else {
        this.#departed.delete(departed);
        this.#departed.add(departed);
      }
    }
    return true;
  }

  #endDetached(detached: Detached, moment: number): void {
    const { segment, offset, group, holder } = detached;
    this.#detached.delete(detached);
    if (group === null) {
      this.#free(segment, moment);
    } else {
      group.references--;
      this.#retire(segment, offset, group, holder, moment);
    }
    this.#log.debug("Freed utilization segment", { offset });
  }

  #range(offset: number): FileRange {
    return { inode: this.#allocator.file.inode, offset, length: this.#allocator.segmentSize };
  }

  #identify({ processId, state }: WorkerController, offset: number): Holder {
    const claimed = {
      startTime: stateText(state, "start_time"),
      incarnation: stateText(state, "incarnation"),
    };
    return identify(processId, claimed, this.#range(offset));
  }

  close(): void {
    if (this.#check !== null) clearTimeout(this.#check);
    this.#check = null;
    this.#detached.clear();
    this.#departed.clear();
  }
}

/** What tells workers apart that may be the same one; null where nothing does. */
function keyOf({ incarnation, processId, startTime }: Holder): string | null {
  if (incarnation !== null) return `incarnation ${incarnation}`;
  return processId === null ? null : `process ${processId} ${startTime}`;
}

/** Whether no counter of `now` is below that of `before`. */
function noneBelow(
  group: Group,
  now: Record<string, Value>,
  before: Record<string, Value>,
): boolean {
  return group.fields.every(
    ({ name, kind }) => kind !== "counter" || !(now[name]! < before[name]!),
  );
}

function totalOf(group: Group, values: Record<string, Value>): number {
  let total = 0;
  for (const { name, kind } of group.fields) if (kind === "counter") total += Number(values[name]);
  return total;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Rejects when the worker has not answered in time; a late answer is dropped. */
async function within<T>(timeoutMs: number, answer: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    timer.unref();
  });
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
