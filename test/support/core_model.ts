// What docs/abi.md says of the core, as plain data: which calls are allowed, what they answer, and
// what is where afterwards. The values in the segments are the business of reference.ts.

import {
  AGGREGATE_COUNT,
  BAD_ARGUMENT,
  DETACHED,
  FREE,
  HELD,
  LIVE,
  MAX_FIELDS,
  NONE,
  OK,
  OUT_OF_MEMORY,
  TYPE_COUNT,
} from "../../assembly/layout.ts";
import { FIELD_TYPES, sizeOf } from "../../host/field_type.ts";

export interface ModelSegment {
  state: number;
  group: number;
  worker: number;
  moment: number;
}

export interface ModelRow {
  readonly type: number;
  readonly offset: number;
  readonly accumulator: number;
}

/** The group of 0 rows, and of others, as far as the ABI tells. */
export interface ModelGroup {
  readonly rows: readonly ModelRow[];
  readonly words: number;
  readonly bytewise: number;
  readonly batch: number;
}

/** An answer that a call may give; a new index only has to be one that is not in use. */
export type Expected = number | "new accumulator" | "new group" | "address";

export class CoreModel {
  segmentSize = 0;
  readonly segments: ModelSegment[] = [];
  /** The free segments, in the order in which they are handed out. */
  readonly free: number[] = [];
  readonly workers: Map<number, number> = new Map();
  readonly accumulators: Set<number> = new Set();
  readonly groups: Map<number, ModelGroup> = new Map();
  /** The scratch of rows, and how many have been made room for. */
  readonly scratch: ModelRow[] = [];
  #registrations = 0;

  get stageBytes(): number {
    return Math.max((this.segmentSize + 7) & ~7, 65_536);
  }

  members(group: number, state: number): number[] {
    return [...this.segments.keys()].filter((index) => {
      const segment = this.segments[index]!;
      return segment.group === group && segment.state === state;
    });
  }

  init(segmentSize: number): Expected {
    if (this.segmentSize !== 0 || segmentSize < 1 || segmentSize > 2 ** 30) return BAD_ARGUMENT;
    return OK;
  }

  initialised(segmentSize: number): void {
    this.segmentSize = segmentSize;
  }

  grow(count: number): Expected {
    if (this.segmentSize === 0 || count < this.segments.length) return BAD_ARGUMENT;
    if (count * this.segmentSize >= 2 ** 31) return BAD_ARGUMENT;
    return count > 2 ** 25 ? OUT_OF_MEMORY : OK;
  }

  grown(count: number): void {
    while (this.segments.length < count) {
      this.free.push(this.segments.length);
      this.segments.push({ state: FREE, group: NONE, worker: NONE, moment: 0 });
    }
  }

  allocate(worker: number, now: number): Expected {
    if (worker < 0 || this.workers.has(worker)) return BAD_ARGUMENT;
    return this.free.find((segment) => !(this.segments[segment]!.moment > now)) ?? NONE;
  }

  allocated(segment: number, worker: number): void {
    this.free.splice(this.free.indexOf(segment), 1);
    this.workers.set(worker, segment);
    Object.assign(this.segments[segment]!, { state: HELD, worker });
  }

  attach(segment: number, group: number): Expected {
    if (this.segments[segment]?.state !== HELD || !this.groups.has(group)) return BAD_ARGUMENT;
    return OK;
  }

  attached(segment: number, group: number): void {
    const moment = ++this.#registrations;
    Object.assign(this.segments[segment]!, { state: LIVE, group, moment });
  }

  detach(segment: number): Expected {
    const state = this.segments[segment]?.state;
    return state === HELD || state === LIVE ? OK : BAD_ARGUMENT;
  }

  detached(segment: number): void {
    this.workers.delete(this.segments[segment]!.worker);
    Object.assign(this.segments[segment]!, { state: DETACHED, worker: NONE });
  }

  release(segment: number): Expected {
    return (this.segments[segment]?.state ?? FREE) === FREE ? BAD_ARGUMENT : OK;
  }

  released(segment: number, moment: number): void {
    this.workers.delete(this.segments[segment]!.worker);
    Object.assign(this.segments[segment]!, { state: FREE, group: NONE, worker: NONE, moment });
    this.free.push(segment);
  }

  next(segment: number): Expected {
    if (segment === NONE) return this.free[0] ?? NONE;
    if (this.segments[segment]?.state !== FREE) return BAD_ARGUMENT;
    return this.free[this.free.indexOf(segment) + 1] ?? NONE;
  }

  accumulator(aggregate: number): Expected {
    return isIndex(aggregate, AGGREGATE_COUNT) ? "new accumulator" : BAD_ARGUMENT;
  }

  define(accumulator: number, aggregate: number): Expected {
    if (!this.accumulators.has(accumulator)) return BAD_ARGUMENT;
    return isIndex(aggregate, AGGREGATE_COUNT) ? OK : BAD_ARGUMENT;
  }

  /** A group that refers to it makes this an unchecked mistake of the host. */
  isReferred(accumulator: number): boolean {
    const groups = [...this.groups.values()];
    return groups.some(({ rows }) => rows.some((row) => row.accumulator === accumulator));
  }

  rows(count: number): Expected {
    return count < 0 || count > MAX_FIELDS ? BAD_ARGUMENT : "address";
  }

  group(count: number): Expected {
    if (this.segmentSize === 0 || count < 0 || count > this.scratch.length) return BAD_ARGUMENT;
    const sound = this.scratch.slice(0, count).every(({ type, offset, accumulator }) => {
      if (!isIndex(type, TYPE_COUNT) || !this.accumulators.has(accumulator)) return false;
      return (offset >>> 0) + sizeOf(FIELD_TYPES[type]!) <= this.segmentSize;
    });
    return sound ? "new group" : BAD_ARGUMENT;
  }

  grouped(index: number, count: number): void {
    const rows = this.scratch.slice(0, count);
    const ends = rows.map(({ type, offset }) => offset + sizeOf(FIELD_TYPES[type]!));
    const words = Math.ceil(Math.max(0, ...ends) / 8);
    const crosses = rows.some(({ offset }, row) => offset >>> 3 !== (ends[row]! - 1) >>> 3);
    const bytewise = this.segmentSize % 8 !== 0 || crosses ? 1 : 0;
    const fit = words === 0 ? 64 : Math.floor(this.stageBytes / (words * 8));
    this.groups.set(index, { rows, words, bytewise, batch: Math.min(64, fit) });
  }

  dissolve(group: number): Expected {
    if (!this.groups.has(group)) return BAD_ARGUMENT;
    return this.segments.some((segment) => segment.group === group) ? BAD_ARGUMENT : OK;
  }

  oldest(group: number): number {
    const moments = this.members(group, LIVE).map((segment) => this.segments[segment]!.moment);
    return moments.length === 0 ? NONE : Math.min(...moments);
  }

  accumulate(group: number, list: number, first: number, rows: number): Expected {
    const record = this.groups.get(group);
    if (record === undefined || (list !== LIVE && list !== DETACHED)) return BAD_ARGUMENT;
    if (first < 0 || rows < 0 || rows > record.batch) return BAD_ARGUMENT;
    return first + rows > this.members(group, list).length ? BAD_ARGUMENT : OK;
  }
}

function isIndex(value: number, count: number): boolean {
  return value >= 0 && value < count;
}
