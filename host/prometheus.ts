/**
 * What monitors know, as metrics of Prometheus: as text for an HTTP server of one's own, or in a
 * registry that there is already.
 *
 * @module
 */

import { Conflicts } from "./exposition/conflicts.ts";
import { type CollectOptions, collectFamilies, sourceOf } from "./exposition/families.ts";
import type { MetricFamily } from "./exposition/family.ts";
import { checkNamespace } from "./exposition/names.ts";
import { addToRegistry, type PrometheusRegistry } from "./exposition/registry_bridge.ts";
import { formatFamilies, type MetricsFormat } from "./exposition/text.ts";
import { budgeted, type Logger, stderrLogger } from "./log.ts";
import type { Supervisor } from "./supervisor.ts";
import type { UtilizationMonitor } from "./utilization_monitor.ts";

export type { MetricFamily, MetricSample, MetricType } from "./exposition/family.ts";
export type { PrometheusRegistry } from "./exposition/registry_bridge.ts";
export type { MetricsFormat } from "./exposition/text.ts";
export { CONTENT_TYPES, preferredFormat } from "./http/negotiation.ts";

export interface PrometheusOptions extends Pick<CollectOptions, "namespace"> {
  /** Tells each worker, too, by its slot: that many times as many series. */
  readonly byWorker?: boolean | undefined;
  /** Adds how often its limits were reached. */
  readonly supervisor?: Pick<Supervisor, "limitsReached"> | undefined;
  readonly log?: Logger | undefined;
}

export interface MetricsTextOptions extends PrometheusOptions {
  /** Default: text, the format 0.0.4. {@link preferredFormat} says which one a scraper prefers. */
  readonly format?: MetricsFormat | undefined;
}

/** Of errors in ten seconds. */
const LOG_LINES = 1;

const conflicts = new Conflicts();

/**
 * The families of what monitors know now.
 *
 * @throws {RangeError} when the namespace is none.
 */
export function metricFamilies(
  monitors: readonly UtilizationMonitor[],
  options: PrometheusOptions = {},
): MetricFamily[] {
  const { namespace, byWorker, supervisor, log = stderrLogger } = options;
  return collectFamilies(
    monitors.map((monitor) => sourceOf(monitor, { byWorker })),
    {
      namespace,
      limitsReached: supervisor?.limitsReached,
      onConflict: (service, field) => conflicts.tell(log, service, field),
    },
  );
}

/**
 * The same as the text that a scraper wants.
 *
 * @throws {RangeError} when the namespace is none.
 * @example
 * ```ts
 * const format = preferredFormat(request.headers.accept);
 * response.setHeader("content-type", CONTENT_TYPES[format]);
 * response.end(metricsText([monitor], { supervisor, format }));
 * ```
 */
export function metricsText(
  monitors: readonly UtilizationMonitor[],
  { format = "text", ...options }: MetricsTextOptions = {},
): string {
  return formatFamilies(metricFamilies(monitors, options), format);
}

/**
 * Has a registry of `prom-client` (15) or `@prometheus-io/client` (0.16) tell what monitors know,
 * beside its own metrics, which win where two have one name. What goes wrong here is logged, and
 * leaves the registry's own metrics alone.
 *
 * @returns a function that takes it back.
 * @throws {RangeError} when the namespace is none.
 * @example
 * ```ts
 * import { register } from "prom-client";
 *
 * addMonitors(register, [monitor], { supervisor });
 * await register.metrics(); // contains utilization_workers{service="web"} 4
 * ```
 */
export function addMonitors(
  registry: PrometheusRegistry,
  monitors: readonly UtilizationMonitor[],
  options: PrometheusOptions = {},
): () => void {
  if (options.namespace !== undefined) checkNamespace(options.namespace);
  const log = options.log ?? stderrLogger;
  const errors = budgeted(log, LOG_LINES, () => {});
  const collect = (): MetricFamily[] => {
    try {
      return metricFamilies(monitors, options);
    } catch (error) {
      errors.error("Error reading monitors for a registry", error);
      return [];
    }
  };
  return addToRegistry(registry, collect, (name) => conflicts.tell(log, name));
}
