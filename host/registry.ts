import { randomBytes } from "node:crypto";
import { Cells } from "./cells.ts";
import { type Field, makeField } from "./field.ts";
import { Histogram } from "./histogram.ts";
import {
  type HistogramDefinition,
  type HistogramOptions,
  histogramFields,
} from "./histogram_definition.ts";
import { histogramsOf } from "./histogram_parts.ts";
import { type Logger, stderrLogger } from "./log.ts";
import type { Metric } from "./metric.ts";
import { createMetric } from "./metrics/index.ts";
import type { Observer } from "./observer.ts";
import { endOf, type FieldDefinition, type Schema, sizeOf, type TextDefinition } from "./schema.ts";
import { Text } from "./text.ts";

/** A known name, or any other string; editors offer the known ones. */
type NameOrOther<Name extends string> = Name | (string & Record<never, never>);

/**
 * The metrics of this process, one for each field of a schema. They count from the start; attaching
 * the registry to an observer makes them visible to the supervisor, with the values they have by
 * then.
 */
export class Registry<Name extends string = string, TextName extends string = string> {
  /**
   * A random id of 128 bits in hexadecimal: the lifetime of these values. A supervisor that meets it
   * again knows that the worker has come back with what it had counted before.
   */
  readonly incarnation: string = randomBytes(16).toString("hex");
  /** The metric of each field. */
  readonly metrics: { readonly [Key in Name]: Metric };
  /** The text of each field that is one. */
  readonly texts: { readonly [Key in TextName]: Text };

  readonly #log: Logger;
  readonly #exported: Map<string, Metric>;
  readonly #others = new Map<string, Metric>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #exportedTexts: Map<string, Text>;
  #observer: Observer<Name> | null = null;
  #schema: Schema<Name, TextName>;
  /** With the fields that were added, whether a segment holds them or not. */
  #whole: Schema<Name, TextName>;
  readonly #firstSize: number;
  /** Bytes of a segment, as far as it is known. */
  #room = Number.POSITIVE_INFINITY;
  #saidNoRoom = false;

  /**
   * Called when a field was added that the supervisor does not know of.
   *
   * @internal
   */
  onGrowth: (() => void) | null = null;

  /** Throws a RangeError for a field that is not aligned: it could be read while half written. */
  constructor(schema: Schema<Name, TextName>, options: { readonly log?: Logger | undefined } = {}) {
    const { log = stderrLogger } = options;
    this.#schema = schema;
    this.#whole = schema;
    this.#firstSize = schema.size;
    this.#log = log;
    for (const { name, type, offset } of schema.fields) {
      if (offset % sizeOf(type) !== 0) {
        throw new RangeError(
          `Cannot make a metric for field "${name}": offset ${offset} is not a multiple of ${sizeOf(type)}`,
        );
      }
    }
    this.#exported = new Map(
      schema.fields.map((field) => [field.name, createMetric(field, log)] as const),
    );
    this.#exportedTexts = new Map(
      schema.texts.map((field) => [field.name, new Text(field, log)] as const),
    );
    this.#moveTo(Cells.allocate(schema.size), schema);
    this.#makeHistograms(schema.fields);
    this.metrics = frozen(this.#exported);
    this.texts = frozen(this.#exportedTexts);
  }

  /** The fields that a supervisor is told. */
  get schema(): Schema<Name, TextName> {
    return this.#schema;
  }

  /** The observer that the metrics are attached to. */
  get observer(): Observer<Name> | null {
    return this.#observer;
  }

  /**
   * The metric of this name. One that is not in the schema is a 64-bit counter or gauge of this
   * process alone: it counts, and nobody else sees it.
   */
  metric(name: NameOrOther<Name>): Metric {
    return this.#exported.get(name) ?? this.#others.get(name) ?? this.#makeOther(name);
  }

  /**
   * The histogram of this name. One that the schema does not have is added, behind all fields: it
   * counts at once, and is seen by the supervisor when the worker has registered anew.
   *
   * Throws a TypeError or RangeError for options or buckets that are none, or others than the histogram
   * has; and for a name that is none or is taken.
   */
  histogram(name: string, options?: HistogramOptions): Histogram {
    const known = this.#histograms.get(name);
    if (known === undefined) return this.addHistogram(name, options ?? {});
    if (options === undefined) return known;
    histogramFields(name, options);
    const { buckets = known.buckets } = options;
    if (String(buckets) !== String(known.buckets)) {
      throw new RangeError(
        `Cannot use histogram "${name}" with buckets ${buckets}: it has ${known.buckets}`,
      );
    }
    return known;
  }

  /** A view of the metrics whose names start with `prefix` and an underscore. */
  namespace<const Prefix extends string>(prefix: Prefix): Namespace<Name, Prefix> {
    return new Namespace(this, prefix);
  }

  /**
   * Moves all metrics, with their values, to the segment of an observer, or back into private
   * memory. Detaching from an observer that is closed ends its mapping.
   *
   * Throws a TypeError for an observer of another schema, an Error for one that is closed.
   */
  attach(observer: Observer<Name> | null): void {
    if (observer === this.#observer) return;
    if (observer !== null && observer.schema !== this.schema) {
      throw new TypeError("Cannot attach a registry to an observer of another schema");
    }
    if (observer === null) this.#moveTo(Cells.allocate(this.#whole.size), this.#whole);
    else this.#moveTo(observer.acquire(), observer.schema);
    const previous = this.#observer;
    this.#observer = observer;
    // Now, not at the next tick: the supervisor may read it as soon as it knows of it.
    observer?.flush();
    previous?.release();
  }

  /**
   * Adds a field behind the others, and returns its metric: it counts at once, and is seen by the
   * supervisor when the worker has registered anew. Throws as `Schema.build` does, and for a name
   * that is taken.
   *
   * @internal
   */
  add(name: string, definition: FieldDefinition): Metric {
    this.#grow(name, definition);
    return this.#exported.get(name)!;
  }

  /**
   * The same for a histogram.
   *
   * @internal
   */
  addHistogram(name: string, options: HistogramOptions): Histogram {
    this.#grow(name, { ...options, type: "histogram" });
    return this.#histograms.get(name)!;
  }

  #grow(name: string, definition: FieldDefinition | HistogramDefinition): void {
    const known = this.#whole.fields.length;
    this.#whole = this.#whole.with(name, definition);
    const added = this.#whole.fields.slice(known);
    for (const field of added) this.#exported.set(field.name, createMetric(field, this.#log));
    this.#makeHistograms(added);
    this.#fitAgain();
  }

  /** Those that are whole among these fields. */
  #makeHistograms(fields: readonly Field[]): void {
    const parts = histogramsOf(new Map(fields.map((field) => [field.name, field])));
    for (const { name, buckets, sum } of parts.values()) {
      if (sum === null || buckets.at(-1)!.bound !== Number.POSITIVE_INFINITY) continue;
      const counters = buckets.map(({ fields }) => this.#exported.get(fields[0]!)!);
      const bounds = buckets.slice(0, -1).map(({ bound }) => bound);
      const metrics = { counters, sum: this.#exported.get(sum)! };
      this.#histograms.set(name, new Histogram(name, bounds, metrics, this.#log));
    }
  }

  /**
   * Adds a text in the same way.
   *
   * @internal
   */
  addText(name: string, definition: TextDefinition): Text {
    this.#whole = this.#whole.withText(name, definition);
    const text = new Text(this.#whole.texts.at(-1)!, this.#log);
    this.#exportedTexts.set(name, text);
    this.#fitAgain();
    return text;
  }

  #fitAgain(): void {
    const before = countOf(this.#schema);
    this.fit(this.#room);
    if (countOf(this.#schema) > before) this.onGrowth?.();
  }

  /**
   * Leaves out the last of the added fields where a segment of `room` bytes does not hold them: they
   * count for this process alone then. A histogram is in it as a whole, or not at all.
   *
   * @internal
   */
  fit(room: number): void {
    this.#room = room;
    const { fields, texts } = this.#whole;
    let size = Math.max(room, this.#firstSize);
    const torn = fields.find((field) => endOf(field) > size)?.histogram;
    if (torn !== undefined) size = fields.find(({ histogram }) => histogram === torn)!.offset;
    const fitting = this.#whole.within(Math.max(size, this.#firstSize));
    // An observer of the same fields stays the one of this schema.
    if (countOf(fitting) !== countOf(this.#schema)) this.#schema = fitting;
    const left = [...fields.slice(fitting.fields.length), ...texts.slice(fitting.texts.length)];
    const [out, ...others] = new Set(
      left.map((field) => ("histogram" in field ? field.histogram! : field.name)),
    );
    if (out === undefined || this.#saidNoRoom) return;
    this.#saidNoRoom = true;
    const more = others.length === 0 ? "" : ` and ${others.length} more`;
    this.#log.warn(
      `No room for metric "${out}"${more}: a segment has ${room} bytes, ${this.#whole.size} are needed (--segment-size)`,
    );
  }

  /** Metrics and texts that have no place there go on in memory of their own. */
  #moveTo(cells: Cells, schema: Schema<Name>): void {
    for (const [name, metric] of this.#exported) {
      const field = schema.field(name);
      if (field === undefined) metric.moveTo(Cells.allocate(8), 0);
      else metric.moveTo(cells, field.offset);
    }
    const places = new Map(schema.texts.map(({ name, offset }) => [name, offset]));
    for (const [name, text] of this.#exportedTexts) {
      const offset = places.get(name);
      if (offset === undefined) text.moveTo(Cells.allocate(text.size), 0);
      else text.moveTo(cells, offset);
    }
  }

  #makeOther(name: string): Metric {
    const metric = createMetric(makeField(name, "u64", 0, {}), this.#log);
    this.#others.set(name, metric);
    return metric;
  }
}

function countOf({ fields, texts }: Schema): number {
  return fields.length + texts.length;
}

/** Without a prototype: a field may well be called "constructor". */
function frozen<Name extends string, Value>(
  values: ReadonlyMap<string, Value>,
): { readonly [Key in Name]: Value } {
  return Object.freeze(Object.assign(Object.create(null), Object.fromEntries(values)));
}

/** What is left of the names with this prefix. */
type Suffix<Name extends string, Prefix extends string> = Name extends `${Prefix}_${infer Rest}`
  ? Rest
  : never;

/**
 * A view of a registry that puts a prefix before every name, for a part of a program that needs
 * not know the others.
 *
 * @example
 * ```ts
 * const http = registry.namespace("http");
 * http.metric("requests_total").increment(); // http_requests_total
 * ```
 */
export class Namespace<Name extends string = string, Prefix extends string = string> {
  readonly prefix: Prefix;
  readonly #registry: Registry<Name>;

  constructor(registry: Registry<Name>, prefix: Prefix) {
    this.#registry = registry;
    this.prefix = prefix;
  }

  metric(name: NameOrOther<Suffix<Name, Prefix>>): Metric {
    return this.#registry.metric(`${this.prefix}_${name}`);
  }

  histogram(name: string, options?: HistogramOptions): Histogram {
    return this.#registry.histogram(`${this.prefix}_${name}`, options);
  }

  namespace<const Inner extends string>(prefix: Inner): Namespace<Name, `${Prefix}_${Inner}`> {
    return new Namespace(this.#registry, `${this.prefix}_${prefix}` as const);
  }
}
