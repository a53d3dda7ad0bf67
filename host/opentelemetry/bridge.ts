// What monitors know as observable instruments of OpenTelemetry. Its SDK asks when it collects: one
// reading for all instruments, none in between.

import { checkNamespace, DEFAULT_NAMESPACE } from "../exposition/names.ts";
import { type Logger, stderrLogger } from "../log.ts";
import { type MetricFamily, metricFamilies, type PrometheusOptions } from "../prometheus.ts";
import type { UtilizationMonitor } from "../utilization_monitor.ts";
import type { Attributes, BatchResult, Meter, Observable } from "./meter.ts";
import { unitCode } from "./units.ts";

export type { Attributes, BatchCallback, BatchResult, InstrumentOptions } from "./meter.ts";
export type { Meter, Observable };

/** The names are those of Prometheus. */
export interface ExportOptions extends PrometheusOptions {
  /** Whose values are exported. */
  readonly monitors: readonly UtilizationMonitor[];
}

/** An export that runs; see {@link exportMetrics}. */
export interface MetricsExport {
  /** Reads the monitors no more. The SDK repeats what it knows until it is shut down itself. */
  stop(): void;
  [Symbol.dispose](): void;
}

/**
 * The label that tells services apart. In OpenTelemetry `service` is a namespace, that of the
 * resource's `service.name`, and an attribute must not be called as a namespace is.
 */
const ATTRIBUTE_NAMES: Readonly<Record<string, string>> = { service: "utilization.service" };

interface Instrument {
  readonly observable: Observable;
  readonly isGauge: boolean;
  /** All that it was ever observed for, by their attributes as text. */
  readonly series: Map<string, Attributes>;
}

/**
 * Has a meter export what monitors know, from now on: counters are the totals, monotonic and
 * cumulative, gauges what is live. Services and fields that come later are in the first collection
 * after. A histogram is three counters, `_bucket` with the attribute `le`, `_sum` and `_count`, for
 * the API knows no observable histogram. Texts are left out. Integers beyond 2^53 are rounded. Never
 * throws into a collection: what goes wrong is logged.
 *
 * @throws {RangeError} when the namespace is none.
 *
 * @example
 * ```ts
 * const meter = provider.getMeter("utilization-monitor");
 * const metrics = exportMetrics(meter, { supervisor, monitors: [monitor] });
 * // … and at the end
 * await provider.shutdown();
 * metrics.stop();
 * ```
 */
export function exportMetrics(meter: Meter, options: ExportOptions): MetricsExport {
  return new Bridge(meter, options);
}

class Bridge implements MetricsExport {
  readonly #meter: Meter;
  readonly #options: ExportOptions;
  readonly #log: Logger;
  /** The family of texts. The SDK would repeat for ever, as a series each, whatever was said once. */
  readonly #info: string;
  /** By kind and name. */
  readonly #instruments: Map<string, Instrument> = new Map();
  /** Those that the batch callback is registered with. */
  #registered: Observable[] = [];
  /** There from the beginning: by it a collection begins. */
  readonly #first: Observable;
  /** What was read for the collection that is under way. */
  #families: readonly MetricFamily[] | null = null;
  #complaint: string | null = null;

  constructor(meter: Meter, options: ExportOptions) {
    this.#meter = meter;
    this.#options = options;
    this.#log = options.log ?? stderrLogger;
    const { namespace = DEFAULT_NAMESPACE } = options;
    checkNamespace(namespace);
    // Without a namespace, what is told of the monitors themselves has the default one, too.
    const own = namespace || DEFAULT_NAMESPACE;
    this.#info = `${own}_worker_info`;
    const description = "Workers of a service that live.";
    this.#first = this.#instrument(`${own}_workers`, true, description, undefined).observable;
    this.#register();
    this.#first.addCallback(this.#begin);
  }

  stop(): void {
    this.#first.removeCallback(this.#begin);
    this.#meter.removeBatchObservableCallback(this.#observe, this.#registered);
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  /**
   * SDKs call this before they call those of batches, and in the same turn: instruments that are
   * made here are in the collection already. Where one does not, they are in the next.
   */
  readonly #begin = (): void => {
    this.#safely(() => {
      this.#families = this.#read();
      queueMicrotask(() => {
        this.#families = null;
      });
    });
  };

  readonly #observe = (result: BatchResult): void => {
    this.#safely(() => {
      const seen = new Set<Attributes>();
      for (const family of this.#families ?? this.#read()) {
        for (const { suffix, labels, value } of family.samples) {
          const { observable, series } = this.#instrumentOf(family, suffix);
          const attributes = attributesOf(series, labels);
          seen.add(attributes);
          // Neither OTLP in JSON nor many a receiver has a word for the others.
          const number = Number(value);
          if (Number.isFinite(number)) result.observe(observable, number, attributes);
        }
      }
      // A service without workers has no gauges. The SDK would repeat the last values for ever.
      for (const { observable, isGauge, series } of this.#instruments.values()) {
        if (!isGauge) continue;
        for (const attributes of series.values()) {
          if (!seen.has(attributes)) result.observe(observable, 0, attributes);
        }
      }
    });
  };

  /** Also makes the instruments that are missing. */
  #read(): readonly MetricFamily[] {
    const families = metricFamilies(this.#options.monitors, this.#options).filter(
      ({ name }) => name !== this.#info,
    );
    for (const family of families) {
      for (const { suffix } of family.samples) this.#instrumentOf(family, suffix);
    }
    if (this.#instruments.size > this.#registered.length) this.#register();
    return families;
  }

  #instrumentOf({ name, type, help, unit }: MetricFamily, suffix: string): Instrument {
    const isCount = suffix === "_bucket" || suffix === "_count";
    const isGauge = type !== "counter" && !isCount && suffix !== "_sum";
    return this.#instrument(name + suffix, isGauge, help, isCount ? undefined : unit);
  }

  #instrument(
    name: string,
    isGauge: boolean,
    description: string,
    unit: string | undefined,
  ): Instrument {
    const key = `${isGauge} ${name}`;
    let instrument = this.#instruments.get(key);
    if (instrument === undefined) {
      const options = { description, ...(unit !== undefined && { unit: unitCode(unit) }) };
      const observable = isGauge
        ? this.#meter.createObservableGauge(name, options)
        : this.#meter.createObservableCounter(name, options);
      instrument = { observable, isGauge, series: new Map() };
      this.#instruments.set(key, instrument);
    }
    return instrument;
  }

  /** A batch has the instruments that it is registered with, and no others. */
  #register(): void {
    const instruments = Array.from(this.#instruments.values(), ({ observable }) => observable);
    this.#meter.removeBatchObservableCallback(this.#observe, this.#registered);
    this.#meter.addBatchObservableCallback(this.#observe, instruments);
    this.#registered = instruments;
  }

  #safely(action: () => void): void {
    try {
      action();
      this.#complaint = null;
    } catch (error) {
      const complaint = String(error);
      if (complaint !== this.#complaint) this.#log.error("Error exporting metrics", error);
      this.#complaint = complaint;
    }
  }
}

/** The same object each time, for the same labels. */
function attributesOf(
  series: Map<string, Attributes>,
  labels: Readonly<Record<string, string>>,
): Attributes {
  const key = JSON.stringify(labels);
  let attributes = series.get(key);
  if (attributes === undefined) {
    attributes = Object.fromEntries(
      Object.entries(labels).map(([name, value]) => [ATTRIBUTE_NAMES[name] ?? name, value]),
    );
    series.set(key, attributes);
  }
  return attributes;
}
