// What is known of services and of their supervisor, as families of metrics: named by the conventions
// of Prometheus, in no format yet.

import type { Field } from "../field.ts";
import type { Status } from "../sample.ts";
import type { MonitorStatistics } from "../statistics.ts";
import type { UtilizationMonitor } from "../utilization_monitor.ts";
import { FamilySet } from "./family_set.ts";
import { checkNamespace, DEFAULT_NAMESPACE } from "./names.ts";
import { OwnFamilies } from "./own_families.ts";
import { ServiceFamilies } from "./service_families.ts";

export type MetricType = "counter" | "gauge" | "histogram" | "summary";

/** All samples of one metric. */
export interface MetricFamily {
  /** A counter's ends in `_total`; a histogram's and a summary's have no suffix. */
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  /** As it was declared; the name need not end with it. */
  readonly unit: string | undefined;
  /** Of a histogram, the buckets are cumulative, and `+Inf` and the count are equal. */
  readonly samples: readonly MetricSample[];
}

export interface MetricSample {
  /** What is added to the name of the family. */
  readonly suffix: "" | "_bucket" | "_sum" | "_count";
  /** `le` of a bucket included. Samples with the same labels may share one object. */
  readonly labels: Readonly<Record<string, string>>;
  /** A counter's is finite and not negative. Integers may have any number of digits. */
  readonly value: number | bigint;
}

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
  /**
   * A field cannot be told: its name is taken by another one, or by a metric of our own; or a text
   * cannot be a label by it.
   */
  readonly onConflict?: ((service: string, field: string) => void) | undefined;
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
