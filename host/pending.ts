// Workers that have been asked for their schema, and have not been heard of since.

import type { Holder } from "./holder.ts";
import { stateText, type WorkerController } from "./worker_controller.ts";

export interface Pending {
  /** The number of the registration in the journal. */
  readonly key: number;
  readonly controller: WorkerController;
  readonly offset: number;
  /** When its process started, as far as that was to be seen before it was asked. */
  readonly seen: string | null;
  /** Its connection has ended. */
  gone: boolean;
  /** It has not answered in time. It may yet: a stopped process does when it is woken. */
  late: boolean;
}

export class PendingWorkers {
  readonly #byId: Map<number, Pending> = new Map();
  /** How many there are of each incarnation, and of each process. */
  readonly #counts: Map<string | number | null, number> = new Map();

  get(id: number): Pending | undefined {
    return this.#byId.get(id);
  }

  add(pending: Pending): void {
    this.#byId.set(pending.controller.id, pending);
    this.#count(pending, 1);
  }

  delete(pending: Pending): void {
    if (this.#byId.delete(pending.controller.id)) this.#count(pending, -1);
  }

  #count({ controller: { processId, state } }: Pending, change: 1 | -1): void {
    for (const key of [processId, stateText(state, "incarnation")]) {
      const count = (this.#counts.get(key) ?? 0) + change;
      if (count > 0) this.#counts.set(key, count);
      else this.#counts.delete(key);
    }
  }

  /** Whether this holder may have answered already, in another registration. */
  mayBe({ processId, incarnation }: Holder): boolean {
    return this.#counts.has(incarnation ?? processId);
  }

  clear(): void {
    this.#byId.clear();
    this.#counts.clear();
  }
}
