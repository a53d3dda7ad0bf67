// How long to wait before a worker is started again.

export interface BackoffOptions {
  /** Before the first restart; 100 by default. */
  readonly firstMs?: number | undefined;
  /** 30 000 by default. */
  readonly longestMs?: number | undefined;
  /** A worker that has lived so long starts from the beginning again; 30 000 by default. */
  readonly resetMs?: number | undefined;
  /** From 0 to 1. */
  readonly random?: (() => number) | undefined;
}

/** Doubles with each crash. The workers of a service that crash together do not return together. */
export class Backoff {
  readonly #firstMs: number;
  readonly #longestMs: number;
  readonly #resetMs: number;
  readonly #random: () => number;
  #nextMs: number;

  constructor(options: BackoffOptions = {}) {
    const { firstMs = 100, longestMs = 30_000, resetMs = 30_000, random = Math.random } = options;
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
    this.#resetMs = resetMs;
    this.#random = random;
    this.#nextMs = firstMs;
  }

  /** The delay for a worker that has crashed after `livedMs`: a half to the whole of the next. */
  next(livedMs: number): number {
    if (livedMs >= this.#resetMs) this.#nextMs = this.#firstMs;
    const delayMs = this.#nextMs * (0.5 + this.#random() / 2);
    this.#nextMs = Math.min(this.#nextMs * 2, this.#longestMs);
    return delayMs;
  }
}
