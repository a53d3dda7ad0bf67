// How much peers may ask for, and how often they have asked for more.

import type { ConnectionLimits } from "./bus/limits.ts";
import type { Logger } from "./log.ts";

/** What the peers of one supervisor may cost it. `Infinity` is no limit. */
export interface SupervisorLimits extends ConnectionLimits {
  /** Connections at once, of workers and clients (default 20 000). One more is closed at once. */
  readonly connections?: number;
  /** Registered workers (default 16 384). One more gets an error, and asks again later. */
  readonly workers?: number;
  /** Calls of `register` in a second on one connection (default 10). More end the connection. */
  readonly registrations?: number;
  /** Log lines about peers in ten seconds (default 1000). More are left out, which is said. */
  readonly logLines?: number;
}

/** What the workers of one monitor may make it remember. `Infinity` is no limit. */
export interface MonitorLimits {
  /**
   * Services (default 1024), those without workers included. For a new one the totals of an old
   * one without workers are forgotten; where all have workers, its worker is refused.
   */
  readonly services?: number;
  /**
   * Distinct fields of all services together (default 65 536). For new ones the counters that no
   * worker reports any more are forgotten; where there are none, the new fields are left out.
   */
  readonly fields?: number;
  /** Log lines about workers in ten seconds (default 1000). More are left out, which is said. */
  readonly logLines?: number;
}

/** Something that goes on is said again when nothing was heard of it for so long. */
const QUIET_MS = 600_000;

/**
 * Checks limits, and fills in the defaults.
 *
 * @throws {RangeError} for one that is neither a positive whole number nor `Infinity`.
 */
export function withDefaults<Limits extends object>(
  given: Limits | undefined,
  defaults: Required<Limits>,
): Required<Limits> {
  for (const [name, value] of Object.entries(given ?? {})) {
    if (value === undefined || value === Number.POSITIVE_INFINITY) continue;
    if (!Number.isSafeInteger(value) || (value as number) < 1) {
      throw new RangeError(`Cannot use limit "${name}" of ${value}: must be a whole number from 1`);
    }
  }
  const known = Object.entries(given ?? {}).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(known) };
}

/** Counts how often each limit was reached, and says so once while it goes on. */
export class LimitWatch<Name extends string> {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #counts: Record<Name, number>;
  readonly #lastTimes: Map<Name, number> = new Map();

  constructor(names: readonly Name[], log: Logger, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
    this.#counts = Object.create(null);
    for (const name of names) this.#counts[name] = 0;
  }

  /** How often each limit was reached. */
  get counts(): Readonly<Record<Name, number>> {
    return { ...this.#counts };
  }

  /** A limit was reached; `message` says by whom and what came of it. */
  reached(name: Name, message: string): void {
    this.#counts[name]++;
    const now = this.#now();
    const last = this.#lastTimes.get(name) ?? Number.NEGATIVE_INFINITY;
    this.#lastTimes.set(name, now);
    if (now - last < QUIET_MS) return;
    this.#log.warn(`${message} (limit "${name}", said once while it goes on)`);
  }
}
