import type { Logger } from "./log.ts";
import { isThenable, type Metric } from "./metric.ts";

/** So many bounds are gone through one by one: that is quicker than to halve them. */
const SCANNED = 12;

/**
 * How values of this process are distributed: a counter for each bucket, and the sum of all. Others
 * can read them while it runs.
 *
 * An observation is one store into its bucket and one into the sum. What is no number, not finite or
 * below 0 is ignored, which is said once in the log; nothing here throws.
 *
 * @example
 * ```ts
 * const request_seconds = registry.histogram("request_seconds");
 * request_seconds.observe(0.25);
 * await request_seconds.time(() => handle(request));
 * ```
 */
export class Histogram {
  readonly name: string;
  /** The inclusive upper bounds of the buckets, ascending, without the infinite one. */
  readonly buckets: readonly number[];
  /** The same, as an array of doubles is searched twice as fast. */
  readonly #bounds: Float64Array;
  /** One more than bounds. */
  readonly #counters: readonly Metric[];
  readonly #sum: Metric;
  readonly #log: Logger;
  #ignored = false;

  /** @internal */
  constructor(
    name: string,
    buckets: readonly number[],
    parts: { readonly counters: readonly Metric[]; readonly sum: Metric },
    log: Logger,
  ) {
    this.name = name;
    this.buckets = Object.freeze([...buckets]);
    this.#bounds = Float64Array.from(buckets);
    this.#counters = parts.counters;
    this.#sum = parts.sum;
    this.#log = log;
  }

  /** How much was observed; beyond 2^53 rounded. */
  get count(): number {
    return this.#counters.reduce((count, { value }) => count + value, 0);
  }

  /** The sum of what was observed. */
  get sum(): number {
    return this.#sum.value;
  }

  /** Counts a value in the first bucket whose bound is not below it. */
  observe(value: number): void {
    if (!Number.isFinite(value) || value < 0) {
      this.#ignore(value);
      return;
    }
    const bounds = this.#bounds;
    let index = 0;
    let end = bounds.length;
    while (end - index > SCANNED) {
      const middle = (index + end) >>> 1;
      if (value > bounds[middle]!) index = middle + 1;
      else end = middle;
    }
    while (index < end && value > bounds[index]!) index++;
    this.#counters[index]!.increment();
    this.#sum.increment(value);
  }

  /**
   * Observes how many seconds `action` takes, until it has returned, thrown, or settled the promise
   * that it returned. Returns what `action` returns.
   */
  time<Result>(action: () => Result): Result;
  time(action: () => unknown): unknown {
    const begun = performance.now();
    const end = (): void => this.observe((performance.now() - begun) / 1000);
    let result: unknown;
    try {
      result = action();
    } catch (error) {
      end();
      throw error;
    }
    if (isThenable(result)) return Promise.resolve(result).finally(end);
    end();
    return result;
  }

  #ignore(value: unknown): void {
    if (this.#ignored) return;
    this.#ignored = true;
    const what = typeof value === "number" ? String(value) : `a value of type ${typeof value}`;
    this.#log.warn(`Histogram "${this.name}" ignored ${what}`);
  }
}
