import { randomBytes } from "node:crypto";
import { Cells } from "./cells.ts";
import { type Field, makeField } from "./field.ts";
import { type Logger, stderrLogger } from "./log.ts";
import type { Metric } from "./metric.ts";
import { createMetric } from "./metrics/index.ts";
import type { Observer } from "./observer.ts";
import { type FieldDefinition, type Schema, sizeOf } from "./schema.ts";

/** A known name, or any other string; editors offer the known ones. */
type NameOrOther<Name extends string> = Name | (string & Record<never, never>);

/**
 * The metrics of this process, one for each field of a schema. They count from the start; attaching
 * the registry to an observer makes them visible to the supervisor, with the values they have by
 * then.
 */
export class Registry<Name extends string = string> {
  /**
   * A random id of 128 bits in hexadecimal: the lifetime of these values. A supervisor that meets it
   * again knows that the worker has come back with what it had counted before.
   */
  readonly incarnation: string = randomBytes(16).toString("hex");
  /** The metric of each field. */
  readonly metrics: { readonly [Key in Name]: Metric };

  readonly #log: Logger;
  readonly #exported: Map<string, Metric>;
  readonly #others = new Map<string, Metric>();
  #observer: Observer<Name> | null = null;
  #schema: Schema<Name>;
  /** With the fields that were added, whether a segment holds them or not. */
  #whole: Schema<Name>;
  readonly #firstCount: number;
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
  constructor(schema: Schema<Name>, options: { readonly log?: Logger | undefined } = {}) {
    const { log = stderrLogger } = options;
    this.#schema = schema;
    this.#whole = schema;
    this.#firstCount = schema.fields.length;
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
    this.#moveTo(Cells.allocate(schema.size), schema);
    // Without a prototype: a field may well be called "constructor".
    this.metrics = Object.freeze(
      Object.assign(Object.create(null), Object.fromEntries(this.#exported)),
    );
  }

  /** The fields that a supervisor is told. */
  get schema(): Schema<Name> {
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
    this.#whole = this.#whole.with(name, definition);
    const field = this.#whole.fields.at(-1)!;
    const metric = createMetric(field, this.#log);
    this.#exported.set(name, metric);
    const before = this.#schema.fields.length;
    this.fit(this.#room);
    if (this.#schema.fields.length > before) this.onGrowth?.();
    return metric;
  }

  /**
   * Leaves out the last of the added fields where a segment of `room` bytes does not hold them: they
   * count for this process alone then.
   *
   * @internal
   */
  fit(room: number): void {
    this.#room = room;
    const { fields } = this.#whole;
    let count = fields.length;
    const isOut = ({ offset, type }: Field): boolean => offset + sizeOf(type) > room;
    while (count > this.#firstCount && isOut(fields[count - 1]!)) count--;
    if (count !== this.#schema.fields.length) this.#schema = this.#whole.first(count);
    const out = fields.length - count;
    if (out === 0 || this.#saidNoRoom) return;
    this.#saidNoRoom = true;
    const more = out === 1 ? "" : ` and ${out - 1} more`;
    this.#log.warn(
      `No room for metric "${fields[count]!.name}"${more}: a segment has ${room} bytes, ${this.#whole.size} are needed (--segment-size)`,
    );
  }

  /** Metrics that have no place there go on in memory of their own. */
  #moveTo(cells: Cells, schema: Schema<Name>): void {
    for (const [name, metric] of this.#exported) {
      const field = schema.field(name);
      if (field === undefined) metric.moveTo(Cells.allocate(8), 0);
      else metric.moveTo(cells, field.offset);
    }
  }

  #makeOther(name: string): Metric {
    const metric = createMetric(makeField(name, "u64", 0, {}), this.#log);
    this.#others.set(name, metric);
    return metric;
  }
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

  namespace<const Inner extends string>(prefix: Inner): Namespace<Name, `${Prefix}_${Inner}`> {
    return new Namespace(this.#registry, `${this.prefix}_${prefix}` as const);
  }
}
