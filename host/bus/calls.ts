import { clearTimeout, setTimeout } from "node:timers";
import { CallError } from "./errors.ts";

/** How long to wait for an answer. */
export interface Patience {
  /** Give up after so many milliseconds (default: wait as long as the connection lasts). */
  readonly timeoutMs?: number;
  /** Give up when this is aborted, with its reason. */
  readonly signal?: AbortSignal;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** The calls to a peer that wait for their answer. An answer that nobody waits for is dropped. */
export class Calls {
  readonly #waiting = new Map<number, Waiting>();

  get size(): number {
    return this.#waiting.size;
  }

  has(id: number): boolean {
    return this.#waiting.has(id);
  }

  async wait(id: number, method: string, { timeoutMs, signal }: Patience): Promise<unknown> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let abort = () => {};
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
        abort = () => reject(signal?.reason);
        signal?.addEventListener("abort", abort);
        if (timeoutMs === undefined) return;
        const message = `Cannot call "${method}": no answer within ${timeoutMs} ms`;
        timer = setTimeout(() => reject(new CallError(message, "timeout")), timeoutMs).unref();
      });
    } finally {
      this.#waiting.delete(id);
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  resolve(id: number, result: unknown): void {
    this.#waiting.get(id)?.resolve(result);
  }

  reject(id: number, error: Error): void {
    this.#waiting.get(id)?.reject(error);
  }

  rejectAll(error: Error): void {
    for (const call of this.#waiting.values()) call.reject(error);
  }
}
