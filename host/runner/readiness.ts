// When a replacement may take the place of a worker.

import { clearTimeout, setTimeout } from "node:timers";
import type { WorkerProcess } from "./worker_process.ts";

export interface ReadinessOptions {
  /** It must have lived so long. */
  readonly settleMs: number;
  /** It may take so long to come as far as the other one. */
  readonly startMs: number;
}

/**
 * Resolves with null when `fresh` has come as far as `old`: has registered and listens if that one
 * does, and has lived for a moment. Otherwise with what has gone wrong.
 */
export function readyFor(
  fresh: WorkerProcess,
  old: Pick<WorkerProcess, "registered" | "listening">,
  { settleMs, startMs }: ReadinessOptions,
): Promise<string | null> {
  return new Promise((resolve) => {
    let isSettled = false;
    const settle = setTimeout(() => {
      isSettled = true;
      look();
    }, settleMs);
    const limit = setTimeout(() => {
      const what = old.listening && !fresh.listening ? "listen" : "register";
      finish(`did not ${what} within ${startMs / 1000} s`);
    }, startMs);
    const finish = (problem: string | null): void => {
      clearTimeout(settle);
      clearTimeout(limit);
      fresh.onChange = () => {};
      resolve(problem);
    };
    const look = (): void => {
      if (fresh.ending !== null) finish("ended");
      else if (!isSettled || (old.registered && !fresh.registered)) return;
      else if (!old.listening || fresh.listening) finish(null);
    };
    fresh.onChange = look;
    look();
  });
}
