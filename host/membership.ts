// Which workers are registered: how they come, and how they leave.

import { clearTimeout, setTimeout } from "node:timers";
import { RemoteError } from "./bus/errors.ts";
import { Departures } from "./departures.ts";
import { jsonText } from "./exact_json.ts";
import { printable } from "./field.ts";
import { type Heartbeat, heartbeatOf } from "./heartbeats.ts";
import { type Holder, identify, systemProcesses } from "./holder.ts";
import type { Journal } from "./journal.ts";
import type { Change, JournalHolder } from "./journal_state.ts";
import type { Logger } from "./log.ts";
import { type Pending, PendingWorkers } from "./pending.ts";
import type { ProcessTable } from "./process_table.ts";
import { Refusals } from "./refusals.ts";
import { parseRows, type RejectedRow, toRows } from "./schema.ts";
import type { SegmentAllocator } from "./segment_allocator.ts";
import type { Group } from "./service.ts";
import type { Services } from "./services.ts";
import type { MonitorStatistics } from "./statistics.ts";
import {
  serviceName,
  stateText,
  type WorkerController,
  type WorkerProxy,
} from "./worker_controller.ts";

/** Rejected fields named one by one in the log. */
const NAMED_REJECTIONS = 5;
/** Characters of a worker's error in the log. */
const LONGEST_ERROR = 1000;
/** Characters of a worker's state in the journal. */
const LONGEST_STATE = 4096;

export interface MembershipOptions {
  /** Absolute path of the file, as workers are told. */
  readonly path: string;
  readonly allocator: SegmentAllocator;
  readonly services: Services;
  /** How long a worker may take to answer. */
  readonly setupTimeoutMs: number;
  /** How long a segment waits for a holder that cannot be seen. */
  readonly leaseMs: number;
  /** The processes that workers may be; the system's by default. */
  readonly processes?: ProcessTable | undefined;
  /** Where the next supervisor reads what this one knew. */
  readonly journal: Journal | null;
  readonly log: Logger;
}

/** A worker whose values are in samples. */
export interface Registration {
  /** Its number in the journal. */
  readonly key: number;
  readonly controller: WorkerController;
  readonly segment: number;
  readonly offset: number;
  readonly group: Group;
  readonly holder: Holder;
  /** Null for a worker without one. */
  readonly heartbeat: Heartbeat | null;
}

export class Membership {
  readonly #options: MembershipOptions;
  readonly #allocator: SegmentAllocator;
  readonly #services: Services;
  readonly #departures: Departures;
  readonly #processes: ProcessTable;
  readonly #journal: Journal | null;
  readonly #log: Logger;
  readonly #refusals: Refusals = new Refusals();
  readonly #pending: PendingWorkers = new PendingWorkers();
  readonly #live: Map<number, Registration> = new Map();
  readonly #liveByIncarnation: Map<string, Registration> = new Map();
  readonly #counts = { registrations: 0, removals: 0, rejectedFields: 0 };

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#allocator = options.allocator;
    this.#services = options.services;
    const isExpected = (holder: Holder): boolean => this.#pending.mayBe(holder);
    this.#departures = new Departures({ ...options, isExpected });
    this.#processes = options.processes ?? systemProcesses;
    this.#journal = options.journal;
    this.#log = options.log;
  }

  /** The live workers in registration order. */
  get live(): ReadonlyMap<number, Registration> {
    return this.#live;
  }

  /** What has happened since the start. */
  get counts(): Readonly<Pick<MonitorStatistics, "registrations" | "removals" | "rejectedFields">> {
    return this.#counts;
  }

  /** The segments whose worker has gone from view. */
  get departures(): Departures {
    return this.#departures;
  }

  /**
   * Gives a worker a segment and asks it for its schema. Whatever the worker does, nothing is
   * lost and nobody else waits: no state is held across the call to it.
   *
   * @throws {Error} when the id is registered already.
   */
  async register(controller: WorkerController): Promise<void> {
    const { id, worker } = controller;
    if (this.#live.has(id) || this.#pending.get(id) !== undefined) {
      throw new Error(`Cannot register worker ${id}: it is registered already`);
    }
    if (worker === null) return;
    const offset = this.#allocate(controller);
    if (offset === null) return;
    const pending = {
      key: this.#journal?.nextKey() ?? 0,
      controller,
      offset,
      seen: this.#see(controller),
      gone: false,
      late: false,
    };
    this.#pending.add(pending);
    // Before the worker knows of the segment: whoever reads the journal gives it to nobody else.
    const startTime = stateText(controller.state, "start_time");
    const isSeen = startTime !== null && startTime === pending.seen;
    const claimed = { startTime, evidence: isSeen ? "process" : "none" } as const;
    this.#journal?.append({ hold: pending.key, ...journalHolder(pending, claimed) });
    const { setupTimeoutMs } = this.#options;
    await settled(this.#ask(pending, worker), setupTimeoutMs);
    if (this.#pending.get(id) !== pending) return;
    pending.late = true;
    this.#logSetupError(controller, `no answer within ${setupTimeoutMs} ms`);
    if (pending.gone) this.#abandon(pending);
  }

  /** Never rejects. An answer that comes after `#abandon` is dropped. */
  async #ask(pending: Pending, worker: WorkerProxy): Promise<void> {
    const { controller, offset } = pending;
    const { id } = controller;
    const { path } = this.#options;
    try {
      const { segmentSize, file } = this.#allocator;
      // A foreign worker would take one argument more for a mistake.
      const isOurs = stateText(controller.state, "incarnation") !== null;
      const identity = isOurs ? ([file.identity] as const) : [];
      const rows = await worker.setupUtilizationObserver(path, segmentSize, offset, ...identity);
      if (this.#pending.get(id) !== pending) return;
      this.#admit(pending, rows);
      this.#pending.delete(pending);
    } catch (error) {
      if (this.#pending.get(id) !== pending) return;
      this.#logSetupError(controller, error instanceof Error ? error.message : String(error));
      if (error instanceof RemoteError) {
        this.#pending.delete(pending);
        this.#free(pending);
      } else {
        this.#abandon(pending);
      }
    }
    if (pending.gone) this.remove(controller);
  }

  #logSetupError(controller: WorkerController, error: string): void {
    if (!this.#refusals.isNews(controller, error)) return;
    const { id, processId, state } = controller;
    this.#log.error("Error setting up worker utilization", {
      worker_id: id,
      process_id: processId,
      service: serviceName(state),
      error: error.length > LONGEST_ERROR ? `${error.slice(0, LONGEST_ERROR)}…` : error,
    });
  }

  #allocate(controller: WorkerController): number | null {
    const { id, processId, state } = controller;
    const service = serviceName(state);
    const allocator = this.#allocator;
    const { size: oldSize } = allocator;
    let reason: string;
    let remedy = `make room on the file system of "${this.#options.path}"`;
    try {
      this.#services.requireRoomFor(service);
      const offset = allocator.allocate(id);
      const { size } = allocator;
      if (size !== oldSize) {
        this.#log.info("Resized shared memory", { old_size: oldSize, new_size: size });
      }
      if (offset !== null) return offset;
      reason = `no segment of ${allocator.segmentCount} is free, and the file of ${size} bytes may not exceed ${allocator.maxSize}`;
      remedy = "raise maxSize (--max-size)";
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
      if (error instanceof RangeError) remedy = 'raise the limit "services"';
    }
    if (!this.#refusals.isNews(controller, reason)) return null;
    this.#log.warn("Failed to allocate utilization segment", {
      worker_id: id,
      process_id: processId,
      service,
      reason,
      remedy,
    });
    return null;
  }

  /** The worker has answered: its schema decides. */
  #admit(pending: Pending, rows: unknown): void {
    const { controller, offset } = pending;
    const { id, processId, state } = controller;
    const service = serviceName(state);
    const group = this.#services.recentGroup(service, rows) ?? this.#groupOf(id, service, rows);
    if (group === null) {
      this.#free(pending);
      if (!this.#refusals.isNews(controller, "no schema")) return;
      this.#log.info("Worker did not provide utilization schema", { worker_id: id });
      return;
    }
    this.#refusals.forget(controller);
    const { segment } = this.#allocator.allocation(id)!;
    const { core } = this.#allocator;
    core.checked(core.exports.attach(segment, group.index), `attach worker ${id}`);
    const holder = this.#identify(pending);
    const heartbeat = heartbeatOf(state, offset, this.#allocator);
    const { key } = pending;
    const enter = (): void => {
      this.#journal?.append(...this.#describe(group), {
        register: key,
        start: holder.startTime,
        evidence: holder.evidence,
        schema: group.schema!,
        state: journalState(state),
      });
      this.#enter({ key, controller, segment, offset, group, holder, heartbeat });
    };
    // One line: what it left elsewhere counts no more from the moment on in which this counts.
    if (this.#journal === null) enter();
    else this.#journal.together(enter);
    this.#log.info("Registered worker utilization", {
      worker_id: id,
      process_id: processId,
      service,
      offset,
      fields: group.fields.length + group.texts.length,
    });
    this.#warnOfNamesake(controller, holder);
  }

  /** The group of workers with these rows; null where they are none. */
  #groupOf(id: number, service: string, rows: unknown): Group | null {
    const parsed = parseRows(rows, this.#allocator.segmentSize);
    if (parsed === null) return null;
    this.#logRejected(id, service, parsed.rejected);
    return this.#services.group(service, this.#services.withinLimit(service, parsed));
  }

  /** What the journal must say of a group before it can refer to it. */
  #describe(group: Group): Change[] {
    const { schemas } = this.#journal!.state;
    if (group.schema !== null && schemas.has(group.schema)) return [];
    group.schema = this.#journal!.nextSchema();
    return [{ schema: group.schema, service: group.service.name, rows: toRows(group) }];
  }

  /** Our own workers compare the file before they use it; others take what they find. */
  #warnOfNamesake({ id, processId }: WorkerController, holder: Holder): void {
    const { evidence, incarnation, startTime } = holder;
    const { path } = this.#options;
    if (incarnation !== null || evidence === "mapping" || processId === null) return;
    if (startTime === null || this.#processes.startTimeOf(processId) !== startTime) return;
    if (this.#processes.mapsNamesake?.(processId, path) !== true) return;
    this.#log.warn(
      `Worker ${id} (process ${processId}) maps a different file than "${path}": what it counts cannot be seen`,
    );
  }

  #logRejected(id: number, service: string, rejected: readonly RejectedRow[]): void {
    const of = `of worker ${id} of service "${printable(service)}"`;
    for (const { index, name, reason } of rejected.slice(0, NAMED_REJECTIONS)) {
      const field = name === null ? `row ${index}` : `field "${name}"`;
      this.#log.warn(`Dropped ${field} ${of}: ${reason}`);
    }
    const more = rejected.length - NAMED_REJECTIONS;
    if (more > 0) this.#log.warn(`Dropped ${more} more fields of worker ${id}`);
    this.#counts.rejectedFields += rejected.length;
  }

  #enter(registration: Registration): void {
    const { controller, group, holder } = registration;
    const { incarnation } = holder;
    group.live++;
    this.#counts.registrations++;
    this.#services.changed();
    this.#live.set(controller.id, registration);
    if (incarnation !== null) {
      // It is back before its old connection has ended.
      const old = this.#liveByIncarnation.get(incarnation);
      if (old !== undefined) {
        this.#leave(old);
        this.#departures.free(old);
        this.#services.release(old.group);
      }
      this.#liveByIncarnation.set(incarnation, registration);
    }
    this.#departures.supersede(registration, group);
  }

  #leave({ controller, group, holder }: Registration): void {
    group.live--;
    this.#counts.removals++;
    this.#live.delete(controller.id);
    if (holder.incarnation !== null) this.#liveByIncarnation.delete(holder.incarnation);
  }

  /**
   * The worker's connection is gone. Its process may live and write: until that is known, its
   * segment is out of samples, in the totals, and nobody else's. False if it was in no sample.
   */
  remove({ id }: WorkerController): boolean {
    const pending = this.#pending.get(id);
    if (pending !== undefined) {
      pending.gone = true;
      if (pending.late) this.#abandon(pending);
    }
    const registration = this.#live.get(id);
    if (registration === undefined) return false;
    this.#leave(registration);
    const { key, segment, offset, group } = registration;
    const holder = this.#lookAgain(registration);
    this.#departures.detach({ key, segment, offset, holder }, group);
    return true;
  }

  /**
   * The worker says that it will not write any more: its counters join the retired base now, and
   * its segment is free.
   */
  unregister({ id }: WorkerController): void {
    const registration = this.#live.get(id);
    if (registration === undefined) return;
    this.#leave(registration);
    this.#departures.retire(registration, registration.group, this.#allocator.now());
  }

  /** A holder that could not be seen when it registered (no descriptor was left to look) may be now. */
  #lookAgain({ controller, offset, holder }: Registration): Holder {
    if (holder.evidence !== "none") return holder;
    return this.#identify({ controller, offset, seen: null });
  }

  /** A worker that never told its fields, and of which it is not known what it does. */
  #abandon(pending: Pending): void {
    const { key, controller, offset } = pending;
    this.#pending.delete(pending);
    const { segment } = this.#allocator.allocation(controller.id)!;
    this.#departures.detach({ key, segment, offset, holder: this.#identify(pending) }, null);
  }

  /** A worker that does not use its segment. */
  #free({ key, controller }: Pending): void {
    this.#allocator.free(controller.id);
    this.#journal?.append({ free: key });
  }

  #see({ processId }: WorkerController): string | null {
    return processId === null ? null : (this.#processes.startTimeOf(processId) ?? null);
  }

  #identify({
    controller: { processId, state },
    offset,
    seen,
  }: Pick<Pending, "controller" | "offset" | "seen">): Holder {
    const claimed = {
      startTime: stateText(state, "start_time"),
      incarnation: stateText(state, "incarnation"),
    };
    // Ours, and its process was there: whether it maps the file matters when it is gone from view.
    if (seen !== null && seen === claimed.startTime) {
      return { processId, ...claimed, evidence: "process" };
    }
    const range = this.#departures.rangeAt(offset);
    const holder = identify(processId, claimed, range, this.#processes);
    if (seen === null || claimed.startTime !== null) return holder;
    // It was asked as one process: that it ended since, or another has its number, changes nothing.
    if (holder.startTime === seen) return holder;
    return { ...holder, startTime: seen, evidence: "none" };
  }

  close(): void {
    // An answer that comes later is nobody's: file and journal may be another supervisor's by then.
    this.#pending.clear();
    this.#departures.close();
  }
}

/** Who a worker says it is, for the journal. */
function journalHolder(
  { controller, offset }: Pick<Pending, "controller" | "offset">,
  { startTime, evidence }: Pick<Holder, "startTime" | "evidence">,
): JournalHolder {
  const { id, processId, state } = controller;
  return {
    at: offset,
    id,
    pid: processId,
    start: startTime,
    incarnation: stateText(state, "incarnation"),
    evidence,
  };
}

/** A state for people to read: one that is very long is left out. */
function journalState(state: WorkerController["state"]): unknown {
  return jsonText(state).length > LONGEST_STATE ? null : state;
}

/** Resolves when `task` has ended, or after this time. */
async function settled(task: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
    timer.unref();
  });
  try {
    await Promise.race([task, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
