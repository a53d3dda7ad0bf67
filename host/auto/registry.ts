import { type FieldOptions, makeField } from "../field.ts";
import type { FieldType, FieldTypeAlias } from "../field_type.ts";
import type { Logger } from "../log.ts";
import type { Metric } from "../metric.ts";
import { createMetric } from "../metrics/index.ts";
import type { Registry } from "../registry.ts";
import type { FieldDefinition } from "../schema.ts";

export interface CounterOptions extends Pick<FieldOptions, "unit" | "help"> {
  /** Default: u64. */
  readonly type?: FieldType | FieldTypeAlias | undefined;
}

export interface GaugeOptions extends Pick<FieldOptions, "unit" | "help" | "aggregate"> {
  /** Default: f64. */
  readonly type?: FieldType | FieldTypeAlias | undefined;
}

/**
 * The metrics of an application, beside those that are measured anyway. Asked for again, a name
 * gives the same metric.
 *
 * Nothing here throws. A metric that cannot be seen (its name is taken, the segment is full) says so
 * once in the log, and counts for this process alone.
 *
 * @example
 * ```ts
 * import { registry } from "utilization-monitor/auto";
 *
 * const orders = registry.counter("orders_total");
 * orders.increment();
 * ```
 */
export interface AutoRegistry {
  /** A value that only grows. */
  counter(name: string, options?: CounterOptions): Metric;
  /** A value that goes up and down; summed over the workers unless `aggregate` says otherwise. */
  gauge(name: string, options?: GaugeOptions): Metric;
}

/** Adds metrics to a registry. */
export class AddedMetrics implements AutoRegistry {
  readonly #registry: Registry;
  readonly #log: Logger;
  readonly #onFirst: () => void;
  readonly #byKey = new Map<string, Metric>();

  /** @param onFirst called when a metric is asked for. */
  constructor(registry: Registry, log: Logger, onFirst: () => void) {
    this.#registry = registry;
    this.#log = log;
    this.#onFirst = onFirst;
  }

  counter(name: string, options: CounterOptions = {}): Metric {
    return this.#metric(name, { ...options, type: options.type ?? "u64", kind: "counter" });
  }

  gauge(name: string, options: GaugeOptions = {}): Metric {
    return this.#metric(name, { ...options, type: options.type ?? "f64", kind: "gauge" });
  }

  #metric(name: string, definition: Exclude<FieldDefinition, string>): Metric {
    const { kind, type, aggregate = "sum" } = definition;
    // What tells metrics apart. Another unit or text of help is no other metric.
    const key = [name, kind, type, aggregate].join("\n");
    let metric = this.#byKey.get(key);
    if (metric === undefined) {
      metric = this.#add(name, definition);
      this.#byKey.set(key, metric);
      this.#onFirst();
    }
    return metric;
  }

  #add(name: string, definition: Exclude<FieldDefinition, string>): Metric {
    try {
      return this.#registry.add(name, definition);
    } catch (error) {
      this.#log.error(`${(error as Error).message}; it counts for this process alone`);
      const { kind } = definition;
      return createMetric(makeField(String(name), "f64", 0, { kind }), this.#log);
    }
  }
}
