import type { Cells } from "./cells.ts";
import type { Field } from "./field.ts";
import type { Logger } from "./log.ts";

/**
 * One value of this process that others can read while it runs.
 *
 * The value lies in a cell: an element of a typed array, in shared memory once the registry is
 * attached to a segment, in private memory before. Every update is one store into that element, so
 * a reader never sees half of it; there is one writer, so no update is lost.
 *
 * A metric keeps to its type: it stops at the limits (a counter and an unsigned gauge at 0), drops
 * fractions if it holds integers, and ignores what is no number. It says so once in the log and
 * never throws.
 *
 * @example
 * ```ts
 * const { requests_total, requests_active } = registry.metrics;
 * requests_total.increment();
 * await requests_active.track(() => handle(request));
 * ```
 */
export abstract class Metric {
  readonly name: string;
  readonly #log: Logger;
  #limited = false;
  #ignored = false;

  constructor(field: Field, log: Logger) {
    this.name = field.name;
    this.#log = log;
  }

  /** The value; an integer beyond 2^53 is rounded. */
  abstract get value(): number;

  /** The exact value of an integer. A float loses its fraction; NaN and infinities throw RangeError. */
  abstract get bigint(): bigint;

  /** Adds `by`. */
  abstract increment(by?: number): void;

  /** Subtracts `by`. */
  abstract decrement(by?: number): void;

  abstract set(value: number | bigint): void;

  /**
   * Moves the cell, with its value, to another memory.
   *
   * @internal
   */
  abstract moveTo(cells: Cells, offset: number): void;

  /**
   * Counts something while it is going on: adds 1, and subtracts it when `action` has returned,
   * thrown, or settled the promise that it returned. Returns what `action` returns.
   *
   * Without an action: adds 1 until the result is disposed of, as in `using busy = metric.track()`.
   */
  track(): Disposable;
  track<Result>(action: () => Result): Result;
  track(action?: () => unknown): unknown {
    this.increment();
    if (action === undefined) return new Tracking(this);
    let result: unknown;
    try {
      result = action();
    } catch (error) {
      this.decrement();
      throw error;
    }
    if (isThenable(result)) {
      // The derived promise: whoever awaits it finds the metric already decremented, and a
      // rejection that nobody handles is still reported.
      return Promise.resolve(result).finally(() => this.decrement());
    }
    this.decrement();
    return result;
  }

  /** Says once that an update went beyond a limit. */
  protected limited(limit: number | bigint): void {
    if (this.#limited) return;
    this.#limited = true;
    this.#log.warn(`Metric "${this.name}" stopped at ${limit}, its limit`);
  }

  /** Says once that something that is no number was ignored. */
  protected ignored(value: unknown): void {
    if (this.#ignored) return;
    this.#ignored = true;
    const what = typeof value === "number" ? String(value) : `a value of type ${typeof value}`;
    this.#log.warn(`Metric "${this.name}" ignored ${what}`);
  }
}

/** Takes back one increment, once. */
class Tracking implements Disposable {
  #metric: Metric | null;

  constructor(metric: Metric) {
    this.#metric = metric;
  }

  [Symbol.dispose](): void {
    this.#metric?.decrement();
    this.#metric = null;
  }
}

/** @internal */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}
