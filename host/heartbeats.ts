// Whose event loop runs, and whose does not, by the heartbeats that workers keep in their segments.
// Only this process's clock is looked at, and only whether a heartbeat moved: nothing has to agree
// between processes, containers, or before and after a suspend.

import { clearInterval, setInterval } from "node:timers";
import { printable } from "./field.ts";
import type { Logger } from "./log.ts";
import type { Registration } from "./membership.ts";
import type { SegmentAllocator } from "./segment_allocator.ts";

/** How often all heartbeats are looked at, whatever the interval of the monitor. */
const LOOK_MS = 500;
/** A look that is later than this was kept from happening: nobody is judged by that time. */
const LATE_MS = 1000;
/** How much later than twice its interval a heartbeat may be. */
const SLACK_MS = 1000;
/** A worker that stalls again and again is told of this often. */
const REPEAT_MS = 60_000;
/** An interval is no timer here, but a worker's claim: it is bounded as timers are. */
const LONGEST_INTERVAL_MS = 0x7fffffff;

/** The heartbeat of one worker: a 32-bit word that its event loop increments. */
export interface Heartbeat {
  /** Of the word in the file. */
  readonly index: number;
  /** How often it should move, as the worker told it. */
  readonly intervalMs: number;
  value: number;
  /** When it was last seen to move, or the judgement began. */
  movedAt: number;
  /** Whether it was ever seen to move. A worker that beats, but not here, writes elsewhere. */
  hasBegun: boolean;
  isStalled: boolean;
  /** Whether the log says that it is stalled, or writes elsewhere. */
  isTold: boolean;
  /** When the log may say so next. */
  quietUntil: number;
  /** How often it stalled without a line in the log. */
  untoldCount: number;
}

/**
 * The heartbeat that a worker tells of in its state; null where it has none that we can read.
 *
 * @param offset of its segment in the file.
 */
export function heartbeatOf(
  { heartbeat }: Readonly<Record<string, unknown>>,
  offset: number,
  { segmentSize, now }: Pick<SegmentAllocator, "segmentSize" | "now">,
): Heartbeat | null {
  if (typeof heartbeat !== "object" || heartbeat === null) return null;
  const { offset: inSegment, interval_ms: intervalMs } = heartbeat as Record<string, unknown>;
  if (typeof inSegment !== "number" || typeof intervalMs !== "number") return null;
  const position = offset + inSegment;
  if (!Number.isInteger(position / 4) || inSegment < 0 || inSegment + 4 > segmentSize) return null;
  if (!(intervalMs > 0 && intervalMs <= LONGEST_INTERVAL_MS)) return null;
  return {
    index: position / 4,
    intervalMs,
    value: 0,
    movedAt: now(),
    hasBegun: false,
    isStalled: false,
    isTold: false,
    quietUntil: Number.NEGATIVE_INFINITY,
    untoldCount: 0,
  };
}

export interface HeartbeatsOptions {
  readonly allocator: SegmentAllocator;
  /** The workers whose heartbeats are looked at. */
  readonly live: ReadonlyMap<number, Registration>;
  /** How long a heartbeat may stand still; twice its interval and a second by default. */
  readonly stalledAfterMs?: number | undefined;
  readonly log: Logger;
}

export class Heartbeats {
  readonly #allocator: SegmentAllocator;
  readonly #live: ReadonlyMap<number, Registration>;
  readonly #stalledAfterMs: number | undefined;
  readonly #log: Logger;
  readonly #timer: ReturnType<typeof setInterval>;
  #lookedAt: number;
  #failing = false;

  /** Looks from now on, until it is closed. */
  constructor({ allocator, live, stalledAfterMs, log }: HeartbeatsOptions) {
    this.#allocator = allocator;
    this.#live = live;
    this.#stalledAfterMs = stalledAfterMs;
    this.#log = log;
    this.#lookedAt = allocator.now();
    this.#timer = setInterval(() => this.#lookSafely(), LOOK_MS);
    this.#timer.unref();
  }

  /** An error must not end the supervisor, nor fill its log. */
  #lookSafely(): void {
    try {
      this.look();
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#log.error("Error looking at heartbeats", error);
      this.#failing = true;
    }
  }

  /** Looks at every heartbeat now. */
  look(): void {
    const now = this.#allocator.now();
    // Who did not look does not know who moved: a pause of ours may have been everybody's.
    const isLate = now - this.#lookedAt > LOOK_MS + LATE_MS;
    this.#lookedAt = now;
    let words: Uint32Array | null = null;
    for (const registration of this.#live.values()) {
      const { heartbeat } = registration;
      if (heartbeat === null) continue;
      words ??= this.#words();
      const value = words[heartbeat.index]!;
      if (value !== heartbeat.value) {
        if (heartbeat.isTold) this.#tellOfReturn(registration, heartbeat, now);
        heartbeat.value = value;
        heartbeat.movedAt = now;
        heartbeat.hasBegun = true;
        heartbeat.isStalled = false;
      } else if (isLate) {
        heartbeat.movedAt = now;
        heartbeat.isStalled = false;
      } else if (!heartbeat.isStalled && now - heartbeat.movedAt >= this.#toleranceOf(heartbeat)) {
        this.#judge(registration, heartbeat, now);
      }
    }
  }

  #toleranceOf({ intervalMs }: Heartbeat): number {
    const twice = intervalMs * 2;
    return Math.max(this.#stalledAfterMs ?? twice + SLACK_MS, twice);
  }

  /** The file as it is now, in the words that heartbeats are. Not to be kept: the file may grow. */
  #words(): Uint32Array {
    const { file, usedSize } = this.#allocator;
    const { buffer, byteOffset, length } = file.view(usedSize).bytes;
    return new Uint32Array(buffer, byteOffset, length >>> 2);
  }

  #judge(registration: Registration, heartbeat: Heartbeat, now: number): void {
    if (!heartbeat.hasBegun) {
      if (!heartbeat.isTold) this.#tellOfOtherFile(registration, heartbeat);
      return;
    }
    heartbeat.isStalled = true;
    if (heartbeat.isTold) return;
    if (now < heartbeat.quietUntil) {
      heartbeat.untoldCount++;
      return;
    }
    const { untoldCount } = heartbeat;
    const again = untoldCount === 0 ? "" : `, and did so ${untoldCount} more times in between`;
    const time = seconds(now - heartbeat.movedAt);
    this.#log.warn(`${nameOf(registration)} is stalled: no heartbeat for ${time} s${again}`);
    heartbeat.isTold = true;
    heartbeat.quietUntil = now + REPEAT_MS;
    heartbeat.untoldCount = 0;
  }

  /** Its first beat came before it registered. */
  #tellOfOtherFile(registration: Registration, heartbeat: Heartbeat): void {
    heartbeat.isTold = true;
    this.#log.warn(
      `${nameOf(registration)} writes to a different file: its heartbeat was never in "${this.#allocator.file.path}"`,
    );
  }

  #tellOfReturn(registration: Registration, heartbeat: Heartbeat, now: number): void {
    heartbeat.isTold = false;
    const time = seconds(now - heartbeat.movedAt);
    const what = heartbeat.hasBegun ? `runs again after ${time} s` : "writes to our file now";
    this.#log.info(`${nameOf(registration)} ${what}`);
  }

  /** How many workers of each service stood still at the last look; services without are left out. */
  stalled(): Record<string, number> {
    const counts: Record<string, number> = Object.create(null);
    for (const { group, heartbeat } of this.#live.values()) {
      if (!heartbeat?.isStalled) continue;
      const { name } = group.service;
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }

  /**
   * For how many seconds a worker's event loop had stood still at the last look: 0 while it runs,
   * null where that cannot be known.
   */
  stalledFor({ heartbeat }: Registration): number | null {
    if (heartbeat === null || !heartbeat.hasBegun) return null;
    return heartbeat.isStalled ? seconds(this.#lookedAt - heartbeat.movedAt) : 0;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** To be read: in tenths. */
function seconds(milliseconds: number): number {
  return Math.round(milliseconds / 100) / 10;
}

function nameOf({ controller: { id, processId }, group }: Registration): string {
  return `Worker ${id} of service "${printable(group.service.name)}", pid ${processId ?? "?"},`;
}
