// The monitor's loop: once at once, then some time after each round has ended.

/**
 * Runs rounds until it is stopped, whether or not anybody iterates. An iteration yields the result
 * of each round that follows; a slow one skips to the latest.
 */
export class IntervalLoop<T> implements AsyncIterableIterator<T> {
  readonly #round: () => T;
  readonly #intervalMs: number;
  readonly #onError: (error: unknown) => void;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #latest: { value: T } | null = null;
  #waiting: ((result: IteratorResult<T>) => void)[] = [];
  #stopped = false;
  readonly #signal: AbortSignal;
  readonly #stop: () => void = () => this.stop();

  constructor(
    round: () => T,
    intervalMs: number,
    onError: (error: unknown) => void,
    signal: AbortSignal,
  ) {
    this.#round = round;
    this.#intervalMs = intervalMs;
    this.#onError = onError;
    this.#signal = signal;
    if (signal.aborted) {
      this.#stopped = true;
      return;
    }
    signal.addEventListener("abort", this.#stop, { once: true });
    this.#run();
  }

  #run(): void {
    try {
      this.#deliver(this.#round());
    } catch (error) {
      this.#onError(error);
    }
    if (!this.#stopped) this.#timer = setTimeout(() => this.#run(), this.#intervalMs);
  }

  #deliver(value: T): void {
    const waiting = this.#waiting.splice(0);
    if (waiting.length === 0) this.#latest = { value };
    for (const resolve of waiting) resolve({ value, done: false });
  }

  /** Ends the loop, and every iteration of it. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#stop);
    for (const resolve of this.#waiting.splice(0)) resolve({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<T>> {
    const latest = this.#latest;
    this.#latest = null;
    if (latest !== null) return Promise.resolve({ value: latest.value, done: false });
    if (this.#stopped) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<T>> {
    this.stop();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
