// Workers whose counters have joined the retired base while their process lives: if one comes back,
// it has them still, and they must be taken out again.

import { COUNTER, SUM } from "../assembly/layout.ts";
import { encode } from "./encoding.ts";
import type { Field } from "./field.ts";
import { sizeOf } from "./field_type.ts";
import { type Holder, isProcessGone } from "./holder.ts";
import type { Journal } from "./journal.ts";
import type { JournalCounters } from "./journal_state.ts";
import type { LeftByHolder } from "./left_behind.ts";
import type { ProcessTable } from "./process_table.ts";
import type { SegmentAllocator } from "./segment_allocator.ts";
import type { Group } from "./service.ts";
import type { Services } from "./services.ts";

/** Workers that may still come back: more are forgotten, oldest first. */
const KEPT_DEPARTED = 4096;

/** A worker whose counters are in the retired base already, and which may come back with them. */
export interface Departed {
  readonly key: number;
  readonly group: Group;
  readonly row: Uint8Array;
  /** How its fields were combined when it was retired: what was added, and no more, comes out. */
  readonly aggregates: readonly number[];
  readonly holder: Holder;
}

export interface DepartedWorkersOptions {
  readonly allocator: SegmentAllocator;
  readonly services: Services;
  readonly processes: ProcessTable;
  /** Whether a holder is about to register again. */
  readonly isExpected: (holder: Holder) => boolean;
  /** Where those that are kept are found when they come back. */
  readonly left: Pick<LeftByHolder<Departed>, "add" | "delete">;
  readonly journal: Journal | null;
}

export class DepartedWorkers {
  readonly #options: DepartedWorkersOptions;
  readonly #departed: Set<Departed> = new Set();

  constructor(options: DepartedWorkersOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#departed.size;
  }

  keep(departed: Departed): void {
    this.#departed.add(departed);
    this.#options.left.add(departed);
    departed.group.departed++;
  }

  /** One that an earlier supervisor has retired. */
  adopt(key: number, group: Group, counters: JournalCounters, holder: Holder): void {
    const row = encodeRow(group.fields, counters);
    const aggregates = group.fields.map(({ name }) =>
      Object.hasOwn(counters, name) ? COUNTER : SUM,
    );
    this.keep({ key, group, row, aggregates, holder });
  }

  /** Takes counters out of the retired base: their worker is back with them. */
  readmit(departed: Departed): void {
    const { allocator, services, journal } = this.#options;
    const { core, sampler } = allocator;
    const { key, group, row, aggregates } = departed;
    sampler.unstage(row);
    services.withAggregates(group, aggregates, () => {
      core.checked(core.exports.retire(group.index, -1), "readmit a worker");
    });
    journal?.append({ readmit: key });
    this.#leave(departed);
  }

  /** Forgets the oldest ones above what is kept. */
  forgetExcess(): void {
    const [oldest] = this.#departed;
    if (oldest !== undefined && this.#departed.size > KEPT_DEPARTED) this.#forget(oldest);
  }

  #forget(departed: Departed): void {
    this.#options.journal?.append({ forget: departed.key });
    this.#leave(departed);
  }

  #leave(departed: Departed): void {
    this.#departed.delete(departed);
    this.#options.left.delete(departed);
    departed.group.departed--;
    this.#options.services.release(departed.group);
  }

  /** Forgets those whose process has ended. Looks at `limit` at most, at other ones each time. */
  check(limit: number): void {
    const { processes, isExpected } = this.#options;
    let left = Math.min(limit, this.#departed.size);
    for (const departed of this.#departed) {
      if (left-- <= 0) break;
      this.#departed.delete(departed);
      const { holder } = departed;
      if (isProcessGone(holder, processes) && !isExpected(holder)) this.#forget(departed);
      else this.#departed.add(departed);
    }
  }

  clear(): void {
    this.#departed.clear();
  }
}

/** The bytes of a segment with these counters. */
function encodeRow(fields: readonly Field[], counters: JournalCounters): Uint8Array {
  const size = Math.max(0, ...fields.map(({ type, offset }) => offset + sizeOf(type)));
  const row = new Uint8Array((size + 7) & ~7);
  for (const { name, type, offset } of fields) {
    if (!Object.hasOwn(counters, name)) continue;
    const value = counters[name]!;
    row.set(encode(type, typeof value === "string" ? BigInt(value) : value), offset);
  }
  return row;
}
