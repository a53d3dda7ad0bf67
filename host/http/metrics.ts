// What `/metrics` tells.

import { Conflicts } from "../exposition/conflicts.ts";
import { collectFamilies, sourceOf } from "../exposition/families.ts";
import { checkNamespace } from "../exposition/names.ts";
import { formatFamilies, type MetricsFormat } from "../exposition/text.ts";
import type { Logger } from "../log.ts";
import type { HttpServerOptions } from "./server.ts";

export type MetricsOptions = Pick<
  HttpServerOptions,
  "monitors" | "supervisor" | "namespace" | "restarts"
>;

export class Metrics {
  readonly #options: MetricsOptions;
  readonly #log: Logger;
  readonly #conflicts: Conflicts = new Conflicts();

  /** @throws {RangeError} when the namespace is none. */
  constructor(options: MetricsOptions, log: Logger) {
    if (options.namespace !== undefined) checkNamespace(options.namespace);
    this.#options = options;
    this.#log = log;
  }

  text(format: MetricsFormat, byWorker: boolean): string {
    const { monitors, supervisor, namespace, restarts } = this.#options;
    const sources = monitors.map((monitor) => sourceOf(monitor, { byWorker }));
    const families = collectFamilies(sources, {
      namespace,
      limitsReached: supervisor?.limitsReached,
      restarts: restarts?.(),
      onConflict: (...names) => this.#conflicts.tell(this.#log, ...names),
    });
    return formatFamilies(families, format);
  }
}
