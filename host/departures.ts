// What becomes of the segments of workers that have gone from view.
//
// A dropped connection is not a death: the process may live, go on writing, and come back with
// all it has counted in a new segment. Until that is known its segment is *detached*: out of
// samples, in the totals, and nobody else's.
//
//   detached ─┬─ its holder returned ─► dropped: it counts in its new segment
//             └─ its holder is gone ──► counters join the retired base, the segment is free

import { clearTimeout, setTimeout } from "node:timers";
import { COUNTER } from "../assembly/layout.ts";
import { type Departed, DepartedWorkers } from "./departed.ts";
import { type Holder, isGone, isProcessGone, lookForMapping, systemProcesses } from "./holder.ts";
import type { Journal } from "./journal.ts";
import type { JournalCounters } from "./journal_state.ts";
import { LeftByHolder, noneBelow, totalOf } from "./left_behind.ts";
import type { Logger } from "./log.ts";
import type { FileRange, ProcessTable } from "./process_table.ts";
import type { SegmentAllocator } from "./segment_allocator.ts";
import type { Group } from "./service.ts";
import type { Services } from "./services.ts";
import type { Value } from "./value.ts";

/** Holders looked at in one turn: so many, or all of them in {@link TURNS}, whichever is more. */
const CHECKS_PER_TURN = 128;
const TURNS = 8;
const FIRST_CHECK_MS = 20;
const LONGEST_CHECK_MS = 1000;

/** Where a worker writes, and who it is. */
export interface Place {
  /** The number of its registration in the journal. */
  readonly key: number;
  readonly segment: number;
  readonly offset: number;
  readonly holder: Holder;
}

/** A segment whose worker has gone from view. Without a group its fields were never known. */
interface Detached extends Place {
  readonly group: Group | null;
  /** Who it is, as far as was looked. */
  holder: Holder;
  hasLooked: boolean;
  /** When the lease of a holder that cannot be seen ends. */
  readonly deadline: number;
}

export interface DeparturesOptions {
  readonly allocator: SegmentAllocator;
  readonly services: Services;
  /** How long a segment waits for a holder that cannot be seen. */
  readonly leaseMs: number;
  /** The processes that workers may be; the system's by default. */
  readonly processes?: ProcessTable | undefined;
  /**
   * Whether a holder is about to register again. Its answer may be on its way, to be read after
   * its process is seen to be gone: until then what it left behind must not be final.
   */
  readonly isExpected: (holder: Holder) => boolean;
  /** Where the next supervisor reads what this one knew. */
  readonly journal: Journal | null;
  readonly log: Logger;
}

export class Departures {
  readonly #allocator: SegmentAllocator;
  readonly #services: Services;
  readonly #leaseMs: number;
  readonly #processes: ProcessTable;
  readonly #isExpected: (holder: Holder) => boolean;
  readonly #journal: Journal | null;
  readonly #log: Logger;
  readonly #detached: Set<Detached> = new Set();
  readonly #departed: DepartedWorkers;
  readonly #left: LeftByHolder<Detached | Departed> = new LeftByHolder();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #delayMs = FIRST_CHECK_MS;

  constructor(options: DeparturesOptions) {
    this.#allocator = options.allocator;
    this.#services = options.services;
    this.#leaseMs = options.leaseMs;
    this.#processes = options.processes ?? systemProcesses;
    this.#isExpected = options.isExpected;
    this.#journal = options.journal;
    this.#log = options.log;
    this.#departed = new DepartedWorkers({
      ...options,
      processes: this.#processes,
      left: this.#left,
    });
  }

  /** How many segments wait to learn whether their holder lives. */
  get detachedCount(): number {
    return this.#detached.size;
  }

  /** Takes over a held or live segment; `group` is null while its fields are not known. */
  detach(place: Place, group: Group | null): void {
    this.#say(place.key, place.holder);
    this.adopt(place, group);
  }

  #say(detach: number, { startTime: start, evidence }: Holder): void {
    this.#journal?.append({ detach, start, evidence });
  }

  /** The same for one of which the journal knows: an earlier supervisor gave it its segment. */
  adopt({ key, segment, offset, holder }: Place, group: Group | null): void {
    const { core } = this.#allocator;
    core.checked(core.exports.detach(segment), "detach a segment");
    if (group !== null) group.detached++;
    const deadline = this.#allocator.now() + this.#leaseMs;
    const hasLooked = false;
    const detached = { key, segment, offset, group, holder, hasLooked, deadline };
    this.#detached.add(detached);
    this.#left.add(detached);
    this.#services.changed();
    this.#delayMs = FIRST_CHECK_MS;
    this.#schedule();
  }

  /**
   * Reads a segment one last time, adds its counters to the retired base, and frees it; it is
   * handed out again from `moment` on. What is read is at `from`: another segment of the same
   * fields, if its worker had moved there.
   */
  retire(place: Place, group: Group, moment: number, from: number = place.offset): void {
    const { key, segment, holder } = place;
    const { core, sampler } = this.#allocator;
    sampler.stageSegment(group.index, from);
    const aggregates = this.#services.retiredAs(group);
    this.#services.withAggregates(group, aggregates, () => {
      core.checked(core.exports.retire(group.index, 1), "retire a worker");
    });
    const isKept = !isProcessGone(holder, this.#processes);
    if (this.#journal !== null) {
      // Before the segment can be another worker's: killed here, the next supervisor retires it.
      const counters = this.#stagedCounters(group, aggregates);
      this.#journal.append({ retire: key, counters, ...(isKept && { kept: true as const }) });
    }
    if (isKept) {
      const row = sampler.stagedRow(group.index);
      this.#departed.keep({ key, group, row, aggregates, holder });
    }
    this.#release(segment, moment);
    this.#services.release(group);
    this.#departed.forgetExcess();
    this.#schedule();
  }

  /** What the core has added to the retired base: counters that are numbers. */
  #stagedCounters(group: Group, aggregates: readonly number[]): JournalCounters {
    const values = this.#allocator.decodeStaged(group.index, group.fields, true);
    const counters: Record<string, string | number> = Object.create(null);
    for (const [index, { name }] of group.fields.entries()) {
      const value = values[name]!;
      if (aggregates[index] !== COUNTER) continue;
      if (typeof value === "bigint") counters[name] = String(value);
      else if (Number.isFinite(value)) counters[name] = value;
    }
    return counters;
  }

  /** Frees a segment without counting what is in it. */
  free({ key, segment }: Place, moment: number = this.#restMoment()): void {
    this.#journal?.append({ free: key });
    this.#release(segment, moment);
  }

  #release(segment: number, moment: number): void {
    const { core } = this.#allocator;
    core.checked(core.exports.free(segment, moment), "free a segment");
    this.#services.changed();
  }

  /** A worker that an earlier supervisor has retired, and which may come back. */
  adoptDeparted(key: number, group: Group, counters: JournalCounters, holder: Holder): void {
    this.#departed.adopt(key, group, counters, holder);
    this.#schedule();
  }

  /**
   * A worker has registered, with all it has counted. What it left behind must not count as well:
   * the segment it had, or what was retired from it.
   */
  supersede({ offset, holder }: Place, group: Group): void {
    const left = this.#left.of(holder);
    if (holder.incarnation !== null) {
      for (const one of left) this.#take(one);
      return;
    }
    // A foreign worker left one segment, of the same process, service and schema, in which no
    // counter is above its own: of several, the one with the most counted.
    const candidates = left
      .filter((one) => one.group === group)
      .map((one) => ({ values: this.#valuesOf(one, group), take: () => this.#take(one) }));
    if (candidates.length === 0) return;
    const now = this.#allocator.decode(group.index, offset, group.fields, true);
    candidates
      .filter(({ values }) => noneBelow(group, now, values))
      .sort((a, b) => totalOf(group, b.values) - totalOf(group, a.values))[0]
      ?.take();
  }

  #valuesOf(left: Detached | Departed, group: Group): Record<string, Value> {
    const allocator = this.#allocator;
    if ("segment" in left) return allocator.decode(group.index, left.offset, group.fields, true);
    allocator.sampler.unstage(left.row);
    return allocator.decodeStaged(group.index, group.fields, true);
  }

  #take(left: Detached | Departed): void {
    if ("segment" in left) this.#drop(left);
    else this.#departed.readmit(left);
  }

  /** Frees the segment of a worker that counts elsewhere now. */
  #drop(detached: Detached): void {
    const { group } = detached;
    this.#detached.delete(detached);
    this.#left.delete(detached);
    this.free(detached);
    if (group === null) return;
    group.detached--;
    this.#services.release(group);
  }

  #restMoment(): number {
    return this.#allocator.now() + this.#allocator.reuseDelayMs;
  }

  // Whether the holders still live is looked at soon, then less often.

  #schedule(): void {
    if (this.#timer !== null || this.#detached.size + this.#departed.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const ended = this.#checkSafely();
      this.#delayMs = ended ? FIRST_CHECK_MS : Math.min(this.#delayMs * 2, LONGEST_CHECK_MS);
      this.#schedule();
    }, this.#delayMs);
    this.#timer.unref();
  }

  /** What cannot be read now is tried again: an error must not end the supervisor. */
  #checkSafely(): boolean {
    const count = this.#detached.size + this.#departed.size;
    try {
      this.check(Math.max(CHECKS_PER_TURN, Math.ceil(count / TURNS)));
    } catch (error) {
      this.#log.error("Error retiring a worker", error);
    }
    return this.#detached.size + this.#departed.size < count;
  }

  /**
   * Retires what is left of workers that are gone. Looks at `limit` holders of each kind at most;
   * those that were looked at come last the next time.
   */
  check(limit: number = Number.POSITIVE_INFINITY): void {
    const now = this.#allocator.now();
    let left = Math.min(limit, this.#detached.size);
    for (const detached of this.#detached) {
      if (left-- <= 0) break;
      this.#detached.delete(detached);
      const gone = this.#isGone(detached);
      try {
        if (this.#isNeeded(detached)) this.#detached.add(detached);
        else if (gone === true && !this.#isMoving(detached)) this.#endAll(detached, now, now);
        else if (gone === null && now >= detached.deadline)
          this.#endAll(detached, this.#restMoment(), now);
        else this.#detached.add(detached);
      } catch (error) {
        this.#detached.add(detached);
        throw error;
      }
    }
    this.#departed.check(limit);
  }

  #isGone(detached: Detached): boolean | null {
    const range = this.rangeAt(detached.offset);
    if (!detached.hasLooked) {
      const holder = lookForMapping(detached.holder, range, this.#processes);
      if (holder !== detached.holder) this.#say(detached.key, holder);
      detached.holder = holder;
      detached.hasLooked = true;
    }
    return isGone(detached.holder, range, this.#processes);
  }

  /**
   * Whether its worker was given another segment, and has not told yet that it moved there with all
   * it has counted.
   */
  #isMoving({ group, holder }: Detached): boolean {
    if (this.#isExpected(holder)) return true;
    if (group === null || this.#unansweredOf(holder).length === 0) return false;
    return !isProcessGone(holder, this.#processes);
  }

  /** Whether what its worker had counted before may have to be read from it, when that ends. */
  #isNeeded({ group, holder }: Detached): boolean {
    return group === null && this.#segmentsOf(holder).some((before) => before.group !== null);
  }

  /** The segments that our worker was given without having told its fields. */
  #unansweredOf(holder: Holder): Detached[] {
    return this.#segmentsOf(holder).filter(({ group }) => group === null);
  }

  #segmentsOf(holder: Holder): Detached[] {
    if (holder.incarnation === null) return [];
    return this.#left.of(holder).filter((left): left is Detached => "segment" in left);
  }

  /** Where a worker that is gone counted last: it may have moved, and not come to tell. */
  #lastOffsetOf({ offset, holder }: Detached, group: Group): number {
    const valuesAt = (place: number): Record<string, Value> =>
      this.#allocator.decode(group.index, place, group.fields, true);
    let last = offset;
    for (const moved of this.#unansweredOf(holder)) {
      if (noneBelow(group, valuesAt(moved.offset), valuesAt(last))) last = moved.offset;
    }
    return last;
  }

  /** Ends the segment of a worker that is gone, and those it was given and told nothing of. */
  #endAll(detached: Detached, moment: number, now: number): void {
    const { group, holder } = detached;
    const unanswered = group === null ? [] : this.#unansweredOf(holder);
    this.#end(detached, moment);
    for (const moved of unanswered) {
      if (now < moved.deadline && !isProcessGone(holder, this.#processes)) continue;
      this.#detached.delete(moved);
      this.#end(moved, moment);
    }
  }

  #end(detached: Detached, moment: number): void {
    const { group } = detached;
    if (group === null) {
      this.free(detached, moment);
    } else {
      this.retire(detached, group, moment, this.#lastOffsetOf(detached, group));
      group.detached--;
      this.#services.release(group);
    }
    this.#left.delete(detached);
    this.#log.debug("Freed utilization segment", { offset: detached.offset });
  }

  /** The range of the file that a worker writes to. */
  rangeAt(offset: number): FileRange {
    const { file, segmentSize } = this.#allocator;
    return { inode: file.inode, device: file.mappedDevice, offset, length: segmentSize };
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#detached.clear();
    this.#departed.clear();
    this.#left.clear();
  }
}
