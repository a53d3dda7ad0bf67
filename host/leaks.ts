// Which workers may leak: a gauge of what is in flight that does not come back to where it was, while
// its counter goes on. Judged by this process's clock alone, as heartbeats are.

import { clearInterval, setInterval } from "node:timers";
import { decodeAt } from "./encoding.ts";
import { type Field, printable } from "./field.ts";
import type { Logger } from "./log.ts";
import type { Registration } from "./membership.ts";
import type { SegmentAllocator } from "./segment_allocator.ts";
import type { Group } from "./service.ts";
import type { Value } from "./value.ts";

/** How often a window is looked into, within these limits. */
const LOOKS = 60;
const SHORTEST_LOOK_MS = 1000;
const LONGEST_LOOK_MS = 10_000;
/** Beyond this a look was kept from happening, in intervals: nobody is judged by that time. */
const LATE_LOOKS = 2;

export const LEAK_WINDOW_MS = 600_000;
export const SHORTEST_LEAK_WINDOW_MS = 1000;
export const LONGEST_LEAK_WINDOW_MS = 0x7fffffff;

/** A gauge of what is in flight, and the counter that it goes with. */
interface Pair {
  readonly gauge: Field;
  readonly counter: Field;
}

/** One gauge of one worker. */
interface Watch {
  /**
   * The lowest value that was seen since the worker registered here. One that comes back with values
   * begins with those: what it had leaked before is where it rests, and only more than that is told.
   */
  floor: number;
  /** When it was last at its floor, or the window began. */
  since: number;
  /** Since then. */
  lowest: number;
  /** The counter when the window began. */
  counted: Value;
  /** The lowest value of the last whole window; null while nothing is wrong. */
  leaking: number | null;
  /** Whom the log calls leaking for it; null where it calls nobody so. */
  told: string | null;
}

/** The gauges of one worker. */
interface Watches {
  readonly pairs: readonly Pair[];
  /** One a pair. */
  readonly list: readonly Watch[];
}

export interface LeaksOptions {
  readonly allocator: SegmentAllocator;
  /** The workers that are looked at. */
  readonly live: ReadonlyMap<number, Registration>;
  /** How long a gauge may stay above its floor. */
  readonly windowMs: number;
  readonly log: Logger;
}

export class Leaks {
  readonly #allocator: SegmentAllocator;
  readonly #live: ReadonlyMap<number, Registration>;
  readonly #windowMs: number;
  readonly #lookMs: number;
  readonly #log: Logger;
  readonly #pairs: WeakMap<Group, readonly Pair[]> = new WeakMap();
  /**
   * By incarnation, or registration where there is none: a worker that registers anew between two
   * looks is known.
   */
  #watches: Map<string | number, Watches> = new Map();
  readonly #timer: ReturnType<typeof setInterval>;
  #lookedAt: number;
  /** At the last look. */
  #isAnyLeaking = false;
  #failing = false;

  /** Looks from now on, until it is closed. */
  constructor({ allocator, live, windowMs, log }: LeaksOptions) {
    this.#allocator = allocator;
    this.#live = live;
    this.#windowMs = windowMs;
    this.#lookMs = Math.min(Math.max(windowMs / LOOKS, SHORTEST_LOOK_MS), LONGEST_LOOK_MS);
    this.#log = log;
    this.#lookedAt = allocator.now();
    this.#timer = setInterval(() => this.#lookSafely(), this.#lookMs);
    this.#timer.unref();
  }

  /** An error must not end the supervisor, nor fill its log. */
  #lookSafely(): void {
    try {
      this.#look();
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#log.error("Error looking for leaks", error);
      this.#failing = true;
    }
  }

  /** Looks now if it is time to. */
  look(): void {
    if (this.#allocator.now() - this.#lookedAt >= this.#lookMs) this.#look();
  }

  #look(): void {
    const now = this.#allocator.now();
    // Who did not look does not know who was at rest in between.
    const isLate = now - this.#lookedAt > this.#lookMs * LATE_LOOKS;
    this.#lookedAt = now;
    const watches = new Map<string | number, Watches>();
    let file: DataView | null = null;
    this.#isAnyLeaking = false;
    for (const registration of this.#live.values()) {
      const pairs = this.#pairsOf(registration.group);
      const key = keyOf(registration);
      const known = this.#watches.get(key);
      if (pairs.length === 0 && known === undefined) continue;
      file ??= this.#view();
      const own = this.#carryOver(known, pairs, file, registration.offset, now);
      watches.set(key, own);
      for (const [index, pair] of pairs.entries()) {
        const watch = own.list[index]!;
        this.#judge(registration, pair, watch, file, now, isLate);
        if (watch.leaking !== null) this.#isAnyLeaking = true;
      }
    }
    for (const [key, { pairs, list }] of this.#watches) {
      if (watches.has(key)) continue;
      for (const [index, watch] of list.entries()) {
        const name = printable(pairs[index]!.gauge.name);
        this.#tellOfGone(watch, `it has left, "${name}" with it`);
      }
    }
    this.#watches = watches;
  }

  /** A worker that has just registered: what it has in flight now is most likely less than later. */
  meet(id: number): void {
    const registration = this.#live.get(id);
    if (registration === undefined) return;
    const pairs = this.#pairsOf(registration.group);
    const key = keyOf(registration);
    const known = this.#watches.get(key);
    if (known === undefined ? pairs.length === 0 : known.pairs === pairs) return;
    // Of this segment alone: without a mapping, a view is all of the file.
    const { file, segmentSize, now } = this.#allocator;
    const segment = new Uint8Array(segmentSize);
    file.read(segment, registration.offset);
    const view = new DataView(segment.buffer);
    this.#watches.set(key, this.#carryOver(known, pairs, view, 0, now()));
  }

  /**
   * What was known of a worker before it registered anew, perhaps with other fields, holds for the same
   * gauges.
   */
  #carryOver(
    known: Watches | undefined,
    pairs: readonly Pair[],
    file: DataView,
    segment: number,
    now: number,
  ): Watches {
    if (known === undefined)
      return { pairs, list: pairs.map((pair) => begin(pair, file, segment, now)) };
    if (known.pairs === pairs) return known;
    const list = pairs.map((pair) => {
      const index = known.pairs.findIndex((other) => isSame(pair, other));
      return known.list[index] ?? begin(pair, file, segment, now);
    });
    for (const [index, watch] of known.list.entries()) {
      const name = printable(known.pairs[index]!.gauge.name);
      if (!list.includes(watch)) this.#tellOfGone(watch, `it has no "${name}" any more`);
    }
    return { pairs, list };
  }

  /** The file as it is now. Not to be kept: it may grow. */
  #view(): DataView {
    const { file, usedSize } = this.#allocator;
    const { buffer, byteOffset, length } = file.view(usedSize).bytes;
    return new DataView(buffer, byteOffset, length);
  }

  #pairsOf(group: Group): readonly Pair[] {
    let pairs = this.#pairs.get(group);
    if (pairs === undefined) {
      pairs = pairsIn(group.fields);
      this.#pairs.set(group, pairs);
    }
    return pairs;
  }

  #judge(
    registration: Registration,
    { gauge, counter }: Pair,
    watch: Watch,
    file: DataView,
    now: number,
    isLate: boolean,
  ): void {
    const value = Number(valueAt(file, registration.offset, gauge));
    const counted = valueAt(file, registration.offset, counter);
    if (Number.isNaN(value)) return;
    // Below 0 nothing is in flight: some decrement came twice.
    const isAtFloor = value <= Math.max(watch.floor, 0);
    if (isAtFloor) {
      watch.floor = Math.min(watch.floor, value);
      watch.leaking = null;
      if (watch.told !== null) this.#tellOfEnd(watch.told, gauge, watch, value);
    } else if (isLate) {
      watch.leaking = null;
    } else {
      watch.lowest = Math.min(watch.lowest, value);
      if (now - watch.since < this.#windowMs) return;
      // Without a move nobody knows whether it is at rest: what was found holds.
      if (counted !== watch.counted) {
        watch.leaking = watch.lowest;
        if (watch.told === null) this.#tell(registration, gauge, counter, watch);
      }
    }
    watch.since = now;
    watch.lowest = Number.POSITIVE_INFINITY;
    watch.counted = counted;
  }

  #tell(registration: Registration, gauge: Field, counter: Field, watch: Watch): void {
    watch.told = nameOf(registration);
    const [name, other] = [gauge, counter].map((field) => printable(field.name));
    const time = Math.round(this.#windowMs / 1000);
    this.#log.warn(
      `${watch.told} may leak: "${name}" was never below ${watch.leaking} for ${time} s, while "${other}" went on`,
    );
  }

  #tellOfEnd(who: string, { name }: Field, watch: Watch, value: number): void {
    watch.told = null;
    this.#log.info(`${who} does not leak: "${printable(name)}" is at ${value}`);
  }

  #tellOfGone({ told }: Watch, why: string): void {
    if (told !== null) this.#log.info(`${told} leaks no more: ${why}`);
  }

  /** How many workers of each service may leak, by field; services and fields without are left out. */
  leaking(): Record<string, Record<string, number>> {
    const counts: Record<string, Record<string, number>> = Object.create(null);
    if (!this.#isAnyLeaking) return counts;
    for (const registration of this.#live.values()) {
      const own = this.leakingOf(registration);
      if (own === undefined) continue;
      const { name: service } = registration.group.service;
      counts[service] ??= Object.create(null) as Record<string, number>;
      for (const name of Object.keys(own)) {
        counts[service][name] = (counts[service][name] ?? 0) + 1;
      }
    }
    return counts;
  }

  /** Of each gauge of a worker that may leak, its lowest value within the window; undefined without. */
  leakingOf(registration: Registration): Record<string, number> | undefined {
    const pairs = this.#pairsOf(registration.group);
    if (pairs.length === 0) return undefined;
    const watches = this.#watches.get(keyOf(registration));
    if (watches?.pairs !== pairs) return undefined;
    let result: Record<string, number> | undefined;
    for (const [index, { leaking }] of watches.list.entries()) {
      if (leaking === null) continue;
      result ??= Object.create(null) as Record<string, number>;
      result[pairs[index]!.gauge.name] = leaking;
    }
    return result;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** The gauges that go with a counter: the one that is named, or `X_total` for one called `X_active`. */
export function pairsIn(fields: readonly Field[]): Pair[] {
  const counters = new Map(
    fields.filter(({ kind }) => kind === "counter").map((field) => [field.name, field]),
  );
  return fields.flatMap((gauge) => {
    if (gauge.kind === "counter") return [];
    const isInFlight = gauge.name.endsWith("_active");
    const name =
      gauge.counter ?? (isInFlight ? gauge.name.replace(/_active$/, "_total") : undefined);
    const counter = name === undefined ? undefined : counters.get(name);
    return counter === undefined ? [] : [{ gauge, counter }];
  });
}

function isSame(a: Pair, b: Pair): boolean {
  return a.gauge.name === b.gauge.name && a.counter.name === b.counter.name;
}

function begin({ gauge, counter }: Pair, file: DataView, segment: number, now: number): Watch {
  const value = Number(valueAt(file, segment, gauge));
  const nothing = Number.POSITIVE_INFINITY;
  return {
    floor: Number.isNaN(value) ? nothing : value,
    since: now,
    lowest: nothing,
    counted: valueAt(file, segment, counter),
    leaking: null,
    told: null,
  };
}

function valueAt(file: DataView, segment: number, { type, offset }: Field): Value {
  return decodeAt(type, file, segment + offset);
}

function keyOf({ holder, controller }: Registration): string | number {
  return holder.incarnation ?? controller.id;
}

function nameOf({ controller: { id, processId }, group }: Registration): string {
  return `Worker ${id} of service "${printable(group.service.name)}", pid ${processId ?? "?"},`;
}
