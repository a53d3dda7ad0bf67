// What was said of workers that were not given a segment: they ask again and again.

import { createHash } from "node:crypto";
import { stateText, type WorkerController } from "./worker_controller.ts";

/** Processes of which it is remembered; more are forgotten, oldest first. */
const KEPT_REFUSALS = 4096;

export class Refusals {
  /** The last reason by process. */
  readonly #reasons: Map<string, string> = new Map();

  /** Whether a worker's process is refused for the first time, or for another reason than before. */
  isNews(worker: WorkerController, reason: string): boolean {
    const key = keyOf(worker);
    if (key === null) return true;
    // The reason may name another segment each time, and be as long as a frame.
    const words = digest(reason.replace(/\d+/g, "0"));
    if (this.#reasons.get(key) === words) return false;
    this.#reasons.delete(key);
    this.#reasons.set(key, words);
    const [oldest] = this.#reasons.keys();
    if (this.#reasons.size > KEPT_REFUSALS) this.#reasons.delete(oldest!);
    return true;
  }

  /** The worker's process was given a segment. */
  forget(worker: WorkerController): void {
    if (this.#reasons.size === 0) return;
    const key = keyOf(worker);
    if (key !== null) this.#reasons.delete(key);
  }
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}

/** Null for a worker that does not say who it is. */
function keyOf({ processId, state }: WorkerController): string | null {
  const incarnation = stateText(state, "incarnation");
  if (processId === null && incarnation === null) return null;
  return JSON.stringify([processId, stateText(state, "start_time"), incarnation]);
}
