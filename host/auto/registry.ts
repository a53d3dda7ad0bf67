import { type FieldOptions, makeField } from "../field.ts";
import type { FieldType, FieldTypeAlias } from "../field_type.ts";
import { Histogram } from "../histogram.ts";
import { DEFAULT_BUCKETS, type HistogramOptions } from "../histogram_definition.ts";
import type { Logger } from "../log.ts";
import type { Metric } from "../metric.ts";
import { createMetric } from "../metrics/index.ts";
import type { Registry } from "../registry.ts";
import type { FieldDefinition, TextDefinition } from "../schema.ts";
import { Text } from "../text.ts";
import { makeTextField, type TextType } from "../text_field.ts";

export interface CounterOptions extends Pick<FieldOptions, "unit" | "help"> {
  /** Default: u64. */
  readonly type?: FieldType | FieldTypeAlias | undefined;
}

export interface GaugeOptions extends Pick<FieldOptions, "unit" | "help" | "aggregate"> {
  /** Default: f64. */
  readonly type?: FieldType | FieldTypeAlias | undefined;
}

export interface TextSettings extends Pick<FieldOptions, "help"> {
  /** Default: str64. */
  readonly type?: TextType | undefined;
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
  /** How values are distributed, such as durations; of default buckets from 0.005 to 10. */
  histogram(name: string, options?: HistogramOptions): Histogram;
  /** What this process says of itself, such as its version; says `value` if one is given. */
  text(name: string, value?: string, options?: TextSettings): Text;
}

/** Adds metrics to a registry. */
export class AddedMetrics implements AutoRegistry {
  readonly #registry: Registry;
  readonly #log: Logger;
  readonly #onFirst: () => void;
  readonly #byKey = new Map<string, Metric>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #texts = new Map<string, Text>();

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

  histogram(name: string, options: HistogramOptions = {}): Histogram {
    // What tells histograms apart, as with metrics.
    const key = `${name}\n${options?.buckets ?? DEFAULT_BUCKETS}`;
    let histogram = this.#histograms.get(key);
    if (histogram === undefined) {
      histogram = this.#addHistogram(name, options);
      this.#histograms.set(key, histogram);
      this.#onFirst();
    }
    return histogram;
  }

  text(name: string, value?: string, { type = "str64", help }: TextSettings = {}): Text {
    let text = this.#texts.get(name);
    if (text === undefined) {
      text = this.#addText(name, { type, help });
      this.#texts.set(name, text);
      this.#onFirst();
    }
    if (value !== undefined) text.set(value);
    return text;
  }

  #addText(name: string, definition: Exclude<TextDefinition, string>): Text {
    try {
      return this.#registry.addText(name, definition);
    } catch (error) {
      this.#log.error(`${(error as Error).message}; only this process has it`);
      return new Text(makeTextField(String(name), "str64", 0, {}), this.#log);
    }
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

  #addHistogram(name: string, options: HistogramOptions): Histogram {
    try {
      return this.#registry.addHistogram(name, options);
    } catch (error) {
      this.#log.error(`${(error as Error).message}; it counts for this process alone`);
      const counter = (type: FieldType): Metric =>
        createMetric(makeField(String(name), type, 0, { kind: "counter" }), this.#log);
      const counters = [...DEFAULT_BUCKETS, Number.POSITIVE_INFINITY].map(() => counter("u64"));
      const parts = { counters, sum: counter("f64") };
      return new Histogram(String(name), DEFAULT_BUCKETS, parts, this.#log);
    }
  }
}
