// What cannot be told as a metric is said once.

import type { Logger } from "../log.ts";

/** Names come from workers: more are not remembered. */
const MOST_CONFLICTS = 100;

export class Conflicts {
  readonly #names: Set<string> = new Set();

  /** @param names of a service and its field, or of a family. */
  tell(log: Logger, ...names: readonly string[]): void {
    const name = JSON.stringify(names);
    if (this.#names.has(name) || this.#names.size >= MOST_CONFLICTS) return;
    this.#names.add(name);
    log.warn(`Left ${name} out of the metrics: the name is taken, or none for metrics`);
  }
}
