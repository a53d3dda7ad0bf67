// Which workers are registered: how they come, and how they leave.

import { clearTimeout, setTimeout } from "node:timers";
import { RemoteError } from "./bus/errors.ts";
import { Departures } from "./departures.ts";
import { type Holder, identify, startTimeOf } from "./holder.ts";
import type { Logger } from "./log.ts";
import { parseRows, type RejectedRow } from "./schema.ts";
import type { SegmentAllocator } from "./segment_allocator.ts";
import type { Group, Services } from "./services.ts";
import {
  serviceName,
  stateText,
  type WorkerController,
  type WorkerProxy,
} from "./worker_controller.ts";

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
}

/** A worker that has been asked for its schema. */
interface Pending {
  readonly controller: WorkerController;
  readonly offset: number;
  /** Whether its process was to be seen, by the start time that it told, before it was asked. */
  readonly seen: boolean;
  /** Its connection has ended. */
  gone: boolean;
  /** It has not answered in time. It may yet: a stopped process does when it is woken. */
  late: boolean;
}

export class Membership {
  readonly #options: MembershipOptions;
  readonly #allocator: SegmentAllocator;
  readonly #services: Services;
  readonly #departures: Departures;
  readonly #log: Logger;
  readonly #pending: Map<number, Pending> = new Map();
  readonly #live: Map<number, Registration> = new Map();
  readonly #liveByIncarnation: Map<string, Registration> = new Map();

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#allocator = options.allocator;
    this.#services = options.services;
    this.#departures = new Departures(options);
    this.#log = options.log;
  }

  /** The live workers in registration order. */
  get live(): ReadonlyMap<number, Registration> {
    return this.#live;
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
    if (this.#live.has(id) || this.#pending.has(id)) {
      throw new Error(`Cannot register worker ${id}: it is registered already`);
    }
    if (worker === null) return;
    const offset = this.#allocate(id);
    if (offset === null) return;
    const pending = {
      controller,
      offset,
      seen: this.#isSeen(controller),
      gone: false,
      late: false,
    };
    this.#pending.set(id, pending);
    const { setupTimeoutMs } = this.#options;
    await settled(this.#ask(pending, worker), setupTimeoutMs);
    if (this.#pending.get(id) !== pending) return;
    pending.late = true;
    this.#logSetupError(id, `no answer within ${setupTimeoutMs} ms`);
    if (pending.gone) this.#abandon(pending);
  }

  /** Never rejects. An answer that comes after `#abandon` is dropped. */
  async #ask(pending: Pending, worker: WorkerProxy): Promise<void> {
    const { controller, offset } = pending;
    const { id } = controller;
    const { path } = this.#options;
    try {
      const { segmentSize } = this.#allocator;
      const rows = await worker.setupUtilizationObserver(path, segmentSize, offset);
      if (this.#pending.get(id) !== pending) return;
      this.#admit(pending, rows);
      this.#pending.delete(id);
    } catch (error) {
      if (this.#pending.get(id) !== pending) return;
      this.#logSetupError(id, error instanceof Error ? error.message : String(error));
      if (error instanceof RemoteError) {
        this.#pending.delete(id);
        this.#allocator.free(id);
      } else {
        this.#abandon(pending);
      }
    }
    if (pending.gone) this.remove(controller);
  }

  #logSetupError(id: number, error: string): void {
    this.#log.error("Error setting up worker utilization", { worker_id: id, error });
  }

  #allocate(id: number): number | null {
    const allocator = this.#allocator;
    const { size: oldSize } = allocator;
    let reason: string;
    try {
      const offset = allocator.allocate(id);
      const { size } = allocator;
      if (size !== oldSize) {
        this.#log.info("Resized shared memory", { old_size: oldSize, new_size: size });
      }
      if (offset !== null) return offset;
      reason = `no segment of ${allocator.segmentCount} is free, and the file of ${size} bytes may not exceed ${allocator.maxSize}`;
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    this.#log.warn("Failed to allocate utilization segment", { worker_id: id, reason });
    return null;
  }

  /** The worker has answered: its schema decides. */
  #admit(pending: Pending, rows: unknown): void {
    const { controller, offset } = pending;
    const { id, processId, state } = controller;
    const parsed = parseRows(rows, this.#allocator.segmentSize);
    if (parsed === null) {
      this.#allocator.free(id);
      this.#log.info("Worker did not provide utilization schema", { worker_id: id });
      return;
    }
    const service = serviceName(state);
    this.#logRejected(id, service, parsed.rejected);
    const { segment } = this.#allocator.allocation(id)!;
    const group = this.#services.group(service, parsed.fields);
    const { core } = this.#allocator;
    core.checked(core.exports.attach(segment, group.index), `attach worker ${id}`);
    const holder = this.#identify(pending);
    this.#enter({ controller, segment, offset, group, holder });
    this.#log.info("Registered worker utilization", {
      worker_id: id,
      process_id: processId,
      service,
      offset,
      fields: parsed.fields.length,
    });
  }

  #logRejected(id: number, service: string, rejected: readonly RejectedRow[]): void {
    for (const { index, name, reason } of rejected.slice(0, NAMED_REJECTIONS)) {
      const field = name === null ? `row ${index}` : `field "${name}"`;
      this.#log.warn(`Dropped ${field} of worker ${id} of service "${service}": ${reason}`);
    }
    const more = rejected.length - NAMED_REJECTIONS;
    if (more > 0) this.#log.warn(`Dropped ${more} more fields of worker ${id}`);
  }

  #enter(registration: Registration): void {
    const { controller, group, holder } = registration;
    const { incarnation } = holder;
    group.live++;
    this.#services.changed();
    this.#live.set(controller.id, registration);
    if (incarnation !== null) {
      // It is back before its old connection has ended.
      const old = this.#liveByIncarnation.get(incarnation);
      if (old !== undefined) {
        this.#leave(old);
        this.#departures.free(old.segment);
        this.#services.release(old.group);
      }
      this.#liveByIncarnation.set(incarnation, registration);
    }
    this.#departures.supersede(registration, group);
  }

  #leave({ controller, group, holder }: Registration): void {
    group.live--;
    this.#live.delete(controller.id);
    if (holder.incarnation !== null) this.#liveByIncarnation.delete(holder.incarnation);
  }

  /**
   * The worker's connection is gone. Its process may live and write: until that is known, its
   * segment is out of samples, in the totals, and nobody else's.
   */
  remove({ id }: WorkerController): void {
    const pending = this.#pending.get(id);
    if (pending !== undefined) {
      pending.gone = true;
      if (pending.late) this.#abandon(pending);
    }
    const registration = this.#live.get(id);
    if (registration === undefined) return;
    this.#leave(registration);
    const { segment, offset, group } = registration;
    this.#departures.detach({ segment, offset, holder: this.#lookAgain(registration) }, group);
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
    return this.#identify({ controller, offset, seen: false });
  }

  /** A worker that never told its fields, and of which it is not known what it does. */
  #abandon(pending: Pending): void {
    const { controller, offset } = pending;
    this.#pending.delete(controller.id);
    const { segment } = this.#allocator.allocation(controller.id)!;
    this.#departures.detach({ segment, offset, holder: this.#identify(pending) }, null);
  }

  #isSeen({ processId, state }: WorkerController): boolean {
    const startTime = stateText(state, "start_time");
    return processId !== null && startTime !== null && startTimeOf(processId) === startTime;
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
    const holder = identify(processId, claimed, this.#departures.rangeAt(offset));
    // A process that was there and is not any more can be known to be gone.
    return seen && holder.evidence === "none" ? { ...holder, evidence: "process" } : holder;
  }

  close(): void {
    this.#departures.close();
  }
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
