// What becomes of the segments of workers that have gone from view.
//
// A dropped connection is not a death: the process may live, go on writing, and come back with
// all it has counted in a new segment. Until that is known its segment is *detached*: out of
// samples, in the totals, and nobody else's.
//
//   detached ─┬─ its holder returned ─► dropped: it counts in its new segment
//             └─ its holder is gone ──► counters join the retired base, the segment is free

import { clearTimeout, setTimeout } from "node:timers";
import { type FileRange, type Holder, isGone, isProcessGone } from "./holder.ts";
import type { Logger } from "./log.ts";
import type { Value } from "./sampler.ts";
import type { SegmentAllocator } from "./segment_allocator.ts";
import type { Group, Services } from "./services.ts";

/** Retired workers that may still come back: more are forgotten, oldest first. */
const KEPT_DEPARTED = 4096;
/** Holders looked at in one turn of the event loop. */
const CHECKS_PER_TURN = 128;
const FIRST_CHECK_MS = 20;
const LONGEST_CHECK_MS = 1000;

/** Where a worker writes, and who it is. */
export interface Place {
  readonly segment: number;
  readonly offset: number;
  readonly holder: Holder;
}

/** A segment whose worker has gone from view. Without a group its fields were never known. */
interface Detached extends Place {
  readonly group: Group | null;
  /** When the lease of a holder that cannot be seen ends. */
  readonly deadline: number;
}

/** A worker whose counters are in the retired base already, and which may come back with them. */
interface Departed {
  readonly group: Group;
  readonly row: Uint8Array;
  /** How its fields were combined when it was retired: what was added, and no more, comes out. */
  readonly aggregates: readonly number[];
  readonly holder: Holder;
}

export interface DeparturesOptions {
  readonly allocator: SegmentAllocator;
  readonly services: Services;
  /** How long a segment waits for a holder that cannot be seen. */
  readonly leaseMs: number;
  readonly log: Logger;
}

export class Departures {
  readonly #allocator: SegmentAllocator;
  readonly #services: Services;
  readonly #leaseMs: number;
  readonly #log: Logger;
  readonly #detached: Set<Detached> = new Set();
  readonly #departed: Set<Departed> = new Set();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #delayMs = FIRST_CHECK_MS;

  constructor({ allocator, services, leaseMs, log }: DeparturesOptions) {
    this.#allocator = allocator;
    this.#services = services;
    this.#leaseMs = leaseMs;
    this.#log = log;
  }

  /** How many segments wait to learn whether their holder lives. */
  get detachedCount(): number {
    return this.#detached.size;
  }

  /** Takes over a held or live segment; `group` is null while its fields are not known. */
  detach({ segment, offset, holder }: Place, group: Group | null): void {
    const { core } = this.#allocator;
    core.checked(core.exports.detach(segment), "detach a segment");
    if (group !== null) group.references++;
    const deadline = this.#allocator.now() + this.#leaseMs;
    this.#detached.add({ segment, offset, group, holder, deadline });
    this.#services.changed();
    this.#delayMs = FIRST_CHECK_MS;
    this.#schedule();
  }

  /**
   * Reads a segment one last time, adds its counters to the retired base, and frees it; it is
   * handed out again from `moment` on.
   */
  retire({ segment, offset, holder }: Place, group: Group, moment: number): void {
    const { core, sampler } = this.#allocator;
    sampler.stageSegment(group.index, offset);
    core.checked(core.exports.retire(group.index, 1), "retire a worker");
    if (!isProcessGone(holder)) {
      const row = sampler.stagedRow(group.index);
      this.#departed.add({ group, row, aggregates: this.#services.aggregates(group), holder });
      group.references++;
    }
    this.free(segment, moment);
    this.#services.release(group);
    const [oldest] = this.#departed;
    if (oldest !== undefined && this.#departed.size > KEPT_DEPARTED) this.#forget(oldest);
    this.#schedule();
  }

  /** Frees a segment without counting what is in it. */
  free(segment: number, moment: number = this.#restMoment()): void {
    const { core } = this.#allocator;
    core.checked(core.exports.free(segment, moment), "free a segment");
    this.#services.changed();
  }

  /**
   * A worker has registered, with all it has counted. What it left behind must not count as well:
   * the segment it had, or what was retired from it.
   */
  supersede({ offset, holder }: Place, group: Group): void {
    if (holder.incarnation !== null) {
      const isSame = (left: Detached | Departed): boolean =>
        left.holder.incarnation === holder.incarnation;
      for (const detached of this.#detached) if (isSame(detached)) this.#drop(detached);
      for (const departed of this.#departed) if (isSame(departed)) this.#readmit(departed);
      return;
    }
    // A foreign worker left one segment, of the same process, service and schema, in which no
    // counter is above its own: of several, the one with the most counted.
    const isMine = (left: Detached | Departed): boolean =>
      left.group === group && isSameProcess(left.holder, holder);
    const candidates: { values: Record<string, Value>; take: () => void }[] = [];
    for (const detached of this.#detached) {
      if (!isMine(detached)) continue;
      const values = this.#allocator.decode(group.index, detached.offset, group.fields, true);
      candidates.push({ values, take: () => this.#drop(detached) });
    }
    for (const departed of this.#departed) {
      if (!isMine(departed)) continue;
      this.#allocator.sampler.unstage(departed.row);
      const values = this.#allocator.decodeStaged(group.index, group.fields, true);
      candidates.push({ values, take: () => this.#readmit(departed) });
    }
    if (candidates.length === 0) return;
    const now = this.#allocator.decode(group.index, offset, group.fields, true);
    candidates
      .filter(({ values }) => noneBelow(group, now, values))
      .sort((a, b) => totalOf(group, b.values) - totalOf(group, a.values))[0]
      ?.take();
  }

  /** Frees the segment of a worker that counts elsewhere now. */
  #drop(detached: Detached): void {
    const { segment, group } = detached;
    this.#detached.delete(detached);
    this.free(segment);
    if (group === null) return;
    group.references--;
    this.#services.release(group);
  }

  /** Takes counters out of the retired base: their worker is back with them. */
  #readmit(departed: Departed): void {
    const { core, sampler } = this.#allocator;
    const { group, row, aggregates } = departed;
    sampler.unstage(row);
    this.#services.withAggregates(group, aggregates, () => {
      core.checked(core.exports.retire(group.index, -1), "readmit a worker");
    });
    this.#forget(departed);
  }

  #forget(departed: Departed): void {
    this.#departed.delete(departed);
    departed.group.references--;
    this.#services.release(departed.group);
  }

  #restMoment(): number {
    return this.#allocator.now() + this.#allocator.reuseDelayMs;
  }

  // Whether the holders still live is looked at soon, then less often.

  #schedule(): void {
    if (this.#timer !== null || this.#detached.size + this.#departed.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const all = this.#checkSafely();
      this.#delayMs = all ? Math.min(this.#delayMs * 2, LONGEST_CHECK_MS) : FIRST_CHECK_MS;
      this.#schedule();
    }, this.#delayMs);
    this.#timer.unref();
  }

  /** What cannot be read now is tried again: an error must not end the supervisor. */
  #checkSafely(): boolean {
    try {
      return this.check(CHECKS_PER_TURN);
    } catch (error) {
      this.#log.error("Error retiring a worker", error);
      return true;
    }
  }

  /**
   * Retires what is left of workers that are gone. Looks at `limit` holders at most; false when
   * there are more. Those that were looked at come last the next time.
   */
  check(limit: number = Number.POSITIVE_INFINITY): boolean {
    const now = this.#allocator.now();
    let checked = 0;
    for (const detached of [...this.#detached]) {
      if (checked++ >= limit) return false;
      this.#detached.delete(detached);
      const gone = isGone(detached.holder, this.rangeAt(detached.offset));
      try {
        if (gone === true) this.#end(detached, now);
        else if (gone === null && now >= detached.deadline) this.#end(detached, this.#restMoment());
        else this.#detached.add(detached);
      } catch (error) {
        this.#detached.add(detached);
        throw error;
      }
    }
    for (const departed of [...this.#departed]) {
      if (checked++ >= limit) return false;
      this.#departed.delete(departed);
      if (isProcessGone(departed.holder)) this.#forget(departed);
      else this.#departed.add(departed);
    }
    return true;
  }

  #end({ segment, offset, group, holder }: Detached, moment: number): void {
    if (group === null) {
      this.free(segment, moment);
    } else {
      this.retire({ segment, offset, holder }, group, moment);
      group.references--;
      this.#services.release(group);
    }
    this.#log.debug("Freed utilization segment", { offset });
  }

  /** The range of the file that a worker writes to. */
  rangeAt(offset: number): FileRange {
    return { inode: this.#allocator.file.inode, offset, length: this.#allocator.segmentSize };
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#detached.clear();
    this.#departed.clear();
  }
}

function isSameProcess(a: Holder, b: Holder): boolean {
  if (a.incarnation !== null || b.incarnation !== null || a.processId === null) return false;
  return a.processId === b.processId && a.startTime === b.startTime;
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
