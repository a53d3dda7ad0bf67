// What is known of services and of their supervisor, as families of metrics: named by the conventions
// of Prometheus, in no format yet.

import type { Field } from "../field.ts";
import type { Status } from "../sample.ts";
import type { MonitorStatistics } from "../statistics.ts";
import type { UtilizationMonitor } from "../utilization_monitor.ts";
import type { MetricFamily, OnConflict } from "./family.ts";
import { FamilySet } from "./family_set.ts";
import { checkNamespace, DEFAULT_NAMESPACE } from "./names.ts";
import { OwnFamilies } from "./own_families.ts";
import { ServiceFamilies } from "./service_families.ts";

/** What one monitor has to tell, of one moment. */
export interface MetricSource {
  /** With totals; with workers, they are told one by one, too. */
  readonly status: Status;
  readonly fields: ReadonlyMap<string, ReadonlyMap<string, Field>>;
  /** Of the monitor itself. */
  readonly statistics?: MonitorStatistics | null | undefined;
}

export interface CollectOptions {
  /**
   * What names begin with, before an underscore; `utilization` by default. With an empty one, a
   * field has its own name.
   */
  readonly namespace?: string | undefined;
  /** How often each limit was reached. */
  readonly limitsReached?: Readonly<Record<string, number>> | undefined;
  /** How often workers were started again, by service. */
  readonly restarts?: Readonly<Record<string, number>> | undefined;
  readonly onConflict?: OnConflict | undefined;
}

/** Reads a monitor now. */
export function sourceOf(
  monitor: UtilizationMonitor,
  { byWorker = false }: { readonly byWorker?: boolean | undefined } = {},
): MetricSource {
  return {
    status: monitor.status({ bigint: true, totals: true, byWorker }),
    fields: monitor.fields(),
    statistics: monitor.statistics(),
  };
}

/**
 * Families with at least one sample. With several sources a label `monitor` tells them apart.
 *
 * @throws {RangeError} when the namespace is none.
 */
export function collectFamilies(
  sources: readonly MetricSource[],
  options: CollectOptions = {},
): MetricFamily[] {
  const { namespace = DEFAULT_NAMESPACE, limitsReached, restarts, onConflict } = options;
  checkNamespace(namespace);
  const families = new FamilySet();
  // Without a namespace, ours would be taken for anybody's.
  const own = new OwnFamilies(families, namespace || DEFAULT_NAMESPACE);
  own.tell(limitsReached, restarts);
  const prefix = namespace === "" ? "" : `${namespace}_`;
  sources.forEach(({ status, fields, statistics }, index) => {
    // Two monitors may have services of one name.
    const more: Record<string, string> = sources.length > 1 ? { monitor: String(index + 1) } : {};
    if (statistics != null) own.tellMonitor(statistics, more);
    const services = new ServiceFamilies(families, prefix, { more, onConflict });
    for (const service of Object.keys(status.totals ?? status.data)) {
      const labels = { service, ...more };
      own.tellService(status, labels);
      services.tell(status, labels, fields.get(service));
    }
    services.tellWorkers(status, fields);
    own.tellWorkers(status, more, onConflict);
  });
  return families.told();
}
