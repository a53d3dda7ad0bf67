// The fields of services as metrics: of a service as a whole, and of each worker.

import type { Field } from "../field.ts";
import { boundText } from "../histogram_definition.ts";
import { type HistogramParts, histogramsOf } from "../histogram_parts.ts";
import type { Status } from "../sample.ts";
import type { Value } from "../value.ts";
import type { MetricSample, MetricType, OnConflict } from "./family.ts";
import type { FamilySet, OpenFamily, Whose } from "./family_set.ts";
import { counterName, metricName } from "./names.ts";
import { WORKER_COUNT } from "./own_families.ts";

type Labels = MetricSample["labels"];
type Fields = ReadonlyMap<string, Field>;
type Values = Readonly<Record<string, Value>>;

const GAUGE_HELP: Readonly<Record<Field["aggregate"], string>> = {
  sum: "Sum over the workers of a service.",
  min: "Lowest among the workers of a service.",
  max: "Highest among the workers of a service.",
  last: "Value of the newest worker of a service.",
};
const COUNTER_HELP = "Total of all workers that a service ever had.";
const HISTOGRAM_HELP = "Observations of all workers that a service ever had.";
const WORKER_HELP = "Of one worker.";

const NO_FIELDS: Fields = new Map();

interface OpenHistogram {
  readonly family: OpenFamily;
  readonly parts: HistogramParts;
  /** The bounds as text. */
  readonly bounds: readonly string[];
}

/** The metrics of one service, or of each of its workers: which field is told where. */
export class FieldFamilies {
  readonly #families: FamilySet;
  readonly #prefix: string;
  readonly #whose: Whose;
  readonly #fields: Fields;
  readonly #onConflict: (field: string) => void;
  readonly #histograms: OpenHistogram[] = [];
  /** By field; null for what is told elsewhere, or not at all. */
  readonly #byField: Map<string, OpenFamily | null> = new Map();
  /** Two fields of one service may end up with one name. */
  readonly #used: Set<OpenFamily> = new Set();

  constructor(
    families: FamilySet,
    prefix: string,
    whose: Whose,
    fields: Fields,
    onConflict: (field: string) => void,
  ) {
    this.#families = families;
    this.#prefix = prefix;
    this.#whose = whose;
    this.#fields = fields;
    this.#onConflict = onConflict;
    for (const parts of histogramsOf(fields).values()) this.#addHistogram(parts);
  }

  #addHistogram(parts: HistogramParts): void {
    const { name, buckets, sum, unit, help } = parts;
    for (const { fields } of buckets) for (const field of fields) this.#byField.set(field, null);
    if (sum !== null) this.#byField.set(sum, null);
    const byDefault = this.#whose === "service" ? HISTOGRAM_HELP : WORKER_HELP;
    const family = this.#take(name, metricName(this.#prefix, name), "histogram", () => ({
      help: help ?? byDefault,
      unit,
    }));
    if (family === null) return;
    this.#histograms.push({ family, parts, bounds: buckets.map(({ bound }) => boundText(bound)) });
  }

  #take(
    field: string,
    name: string,
    type: MetricType,
    describe: () => Pick<OpenFamily, "help" | "unit">,
  ): OpenFamily | null {
    const family = this.#families.shared(name, type, this.#whose, describe);
    if (family !== null && !this.#used.has(family)) {
      this.#used.add(family);
      return family;
    }
    this.#onConflict(field);
    return null;
  }

  #familyOf(type: "counter" | "gauge", field: string): OpenFamily | null {
    const known = this.#byField.get(field);
    if (known !== undefined) return known;
    const name = (type === "counter" ? counterName : metricName)(this.#prefix, field);
    const family = this.#take(field, name, type, () => this.#describe(type, field));
    this.#byField.set(field, family);
    return family;
  }

  #describe(type: "counter" | "gauge", field: string): Pick<OpenFamily, "help" | "unit"> {
    const { help, unit, aggregate = "sum" } = this.#fields.get(field) ?? {};
    if (help !== undefined) return { help, unit };
    if (this.#whose === "worker") return { help: WORKER_HELP, unit };
    return { help: type === "counter" ? COUNTER_HELP : GAUGE_HELP[aggregate], unit };
  }

  tell(type: "counter" | "gauge", field: string, labels: Labels, value: Value): void {
    // What is no count, because a stranger wrote it, would make the whole scrape invalid.
    if (type === "counter" && !isCount(value)) return;
    this.#familyOf(type, field)?.samples.push({ suffix: "", labels, value });
  }

  tellHistograms(labels: Labels, values: Values): void {
    for (const histogram of this.#histograms) {
      const { buckets } = histogram.parts;
      if (buckets.some(({ fields }) => fields.some((field) => field in values))) {
        tellHistogram(histogram, labels, values);
      }
    }
  }
}

/** The buckets of a segment count what is between two bounds; those of a metric, all below one. */
function tellHistogram(
  { family: { samples }, parts: { buckets, sum }, bounds }: OpenHistogram,
  labels: Labels,
  values: Values,
): void {
  let count: Value = 0;
  for (const [index, { bound, fields }] of buckets.entries()) {
    for (const field of fields) {
      const value = values[field];
      if (value !== undefined && isCount(value)) count = plus(count, value);
    }
    if (bound === Number.POSITIVE_INFINITY) break;
    samples.push({ suffix: "_bucket", labels: { ...labels, le: bounds[index]! }, value: count });
  }
  samples.push({ suffix: "_bucket", labels: { ...labels, le: "+Inf" }, value: count });
  // A sum to which something below 0 belongs is no counter: OpenMetrics wants none then.
  const hasSum = sum !== null && buckets[0]!.bound >= 0;
  const total = hasSum ? values[sum] : undefined;
  if (total !== undefined && isCount(total)) samples.push({ suffix: "_sum", labels, value: total });
  samples.push({ suffix: "_count", labels, value: count });
}

function isCount(value: Value): boolean {
  return value >= 0 && value !== Number.POSITIVE_INFINITY;
}

/** Integers stay exact; with a float among them it is one. */
function plus(a: Value, b: Value): Value {
  if (a === 0) return b;
  return typeof a === "bigint" && typeof b === "bigint" ? a + b : Number(a) + Number(b);
}

export interface ServiceFamiliesOptions {
  /** Labels besides those of the service. */
  readonly more: Labels;
  readonly onConflict: OnConflict | undefined;
}

/** The services of one monitor. */
export class ServiceFamilies {
  readonly #families: FamilySet;
  readonly #prefix: string;
  readonly #options: ServiceFamiliesOptions;

  constructor(families: FamilySet, prefix: string, options: ServiceFamiliesOptions) {
    this.#families = families;
    this.#prefix = prefix;
    this.#options = options;
  }

  #open(service: string, whose: Whose, fields: Fields = NO_FIELDS): FieldFamilies {
    const prefix = whose === "service" ? this.#prefix : `${this.#prefix}worker_`;
    return new FieldFamilies(this.#families, prefix, whose, fields, (field) =>
      this.#options.onConflict?.(service, field),
    );
  }

  /** Counters of all workers there ever were, and gauges of those that live. */
  tell({ data, totals }: Status, labels: Labels, fields: Fields | undefined): void {
    const service = labels.service!;
    const counters: Values = totals?.[service] ?? {};
    const live: Values = data[service] ?? {};
    const open = this.#open(service, "service", fields);
    for (const [name, value] of Object.entries(counters)) {
      if (name !== WORKER_COUNT) open.tell("counter", name, labels, value);
    }
    for (const [name, value] of Object.entries(live)) {
      if (name !== WORKER_COUNT && !Object.hasOwn(counters, name)) {
        open.tell("gauge", name, labels, value);
      }
    }
    open.tellHistograms(labels, counters);
  }

  tellWorkers({ workers = [] }: Status, fields: ReadonlyMap<string, Fields>): void {
    const byService = new Map<string, FieldFamilies>();
    for (const { service, slot, data } of workers) {
      const declared = fields.get(service);
      let open = byService.get(service);
      if (open === undefined) {
        open = this.#open(service, "worker", declared);
        byService.set(service, open);
      }
      const labels = { service, slot: String(slot), ...this.#options.more };
      for (const name of Object.keys(data)) {
        open.tell(declared?.get(name)?.kind ?? "gauge", name, labels, data[name]!);
      }
      open.tellHistograms(labels, data);
    }
  }
}
