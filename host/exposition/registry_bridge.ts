// Our families in a registry of `prom-client` or `@prometheus-io/client`, beside the metrics of its own.

import type { MetricFamily } from "./family.ts";
import { SUFFIXES } from "./family_set.ts";

/** What is used of a registry: in both libraries the same. */
export interface PrometheusRegistry {
  /** All that it renders, however it is asked. */
  getMetricsAsArray(aggregator?: string): object[];
  /** Says whether it renders OpenMetrics. */
  readonly contentType: string;
  getSingleMetric(name: string): unknown;
}

type RegisteredType = MetricFamily["type"] | "unknown";

/** What a registry reads of a metric. */
interface RegisteredMetric {
  /** Written by the registry: in OpenMetrics it takes `_total` off a counter. */
  name: string;
  readonly help: string;
  readonly type: RegisteredType;
  readonly aggregator: string;
  get(): Promise<object>;
  reset(): void;
}

/** How these libraries combine what several processes tell; there is one of us. */
const AGGREGATOR = "sum";

/**
 * Adds families to whatever the registry tells from now on, until the result is called.
 *
 * A registry knows its metrics by name, and ours come and go with the services: so they are added
 * when it lists what it has.
 *
 * @param collect is asked once in a turn of the event loop.
 * @param onConflict is told of a name that the registry has itself.
 */
export function addToRegistry(
  registry: PrometheusRegistry,
  collect: () => readonly MetricFamily[],
  onConflict: (name: string) => void,
): () => void {
  let collected: ReadonlyMap<string, MetricFamily> | null = null;
  const read = (): ReadonlyMap<string, MetricFamily> => {
    if (collected === null) {
      setImmediate(() => {
        collected = null;
      });
      collected = new Map(collect().map((family) => [family.name, family]));
    }
    return collected;
  };
  const list = registry.getMetricsAsArray;
  let isAdded = true;
  const listAll = (aggregator?: string): object[] => {
    const own = list.call(registry, aggregator);
    if (!isAdded || (aggregator ?? AGGREGATOR) !== AGGREGATOR) return own;
    const families = read();
    const isOpen = registry.contentType.startsWith("application/openmetrics-text");
    // There a counter is a family without `_total`.
    const familyOf = (name: string): string => (isOpen ? name.replace(/_total$/, "") : name);
    const taken = new Set<string>();
    for (const { name, type } of own as RegisteredMetric[]) {
      for (const suffix of type === "unknown" ? [""] : SUFFIXES[type]) taken.add(name + suffix);
      if (type === "counter") taken.add(familyOf(name));
    }
    for (const { name, help, type } of families.values()) {
      const isKnown = SUFFIXES[type].some((suffix) => taken.has(name + suffix));
      if (isKnown || registry.getSingleMetric(name) !== undefined) {
        onConflict(name);
        continue;
      }
      const family = familyOf(name);
      const isTaken = family !== name && (taken.has(family) || families.has(family));
      own.push(metricOf(name, help, isTaken ? "unknown" : type, read));
    }
    return own;
  };
  registry.getMetricsAsArray = listAll;
  return () => {
    isAdded = false;
    // Somebody else may have come after us.
    if (registry.getMetricsAsArray === listAll) registry.getMetricsAsArray = list;
  };
}

/** A metric that is read when it is asked, also by a registry that was merged from this one. */
function metricOf(
  name: string,
  help: string,
  type: RegisteredType,
  read: () => ReadonlyMap<string, MetricFamily>,
): RegisteredMetric {
  return {
    name,
    help,
    type,
    aggregator: AGGREGATOR,
    async get() {
      const values = read()
        .get(name)
        ?.samples.map(({ suffix, labels, value }) => ({
          ...(suffix !== "" && { metricName: name + suffix }),
          labels,
          // They know numbers only.
          value: Number(value),
        }));
      return { name: this.name, help, type, aggregator: AGGREGATOR, values: values ?? [] };
    },
    reset() {},
  };
}
