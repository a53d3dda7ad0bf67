import { randomBytes } from "node:crypto";
import { Cells } from "./cells.ts";
import { makeField } from "./field.ts";
import { type Logger, stderrLogger } from "./log.ts";
import type { Metric } from "./metric.ts";
import { createMetric } from "./metrics/index.ts";
import type { Observer } from "./observer.ts";
import { type Schema, sizeOf } from "./schema.ts";

/** A known name, or any other string; editors offer the known ones. */
type NameOrOther<Name extends string> = Name | (string & Record<never, never>);

/**
 * The metrics of this process, one for each field of a schema. They count from the start; attaching
 * the registry to an observer makes them visible to the supervisor, with the values they have by
 * then.
 */
export class Registry<Name extends string = string> {
  readonly schema: Schema<Name>;
  /**
   * A random id of 128 bits in hexadecimal: the lifetime of these values. A supervisor that meets it
   * again knows that the worker has come back with what it had counted before.
   */
  readonly incarnation: string = randomBytes(16).toString("hex");
  /** The metric of each field. */
  readonly metrics: { readonly [Key in Name]: Metric };

  readonly #log: Logger;
  readonly #unattached: Cells;
  readonly #exported: ReadonlyMap<string, Metric>;
  readonly #others = new Map<string, Metric>();
  #observer: Observer<Name> | null = null;

  /** Throws a RangeError for a field that is not aligned: it could be read while half written. */
  constructor(schema: Schema<Name>, options: { readonly log?: Logger | undefined } = {}) {
    const { log = stderrLogger } = options;
    this.schema = schema;
    this.#log = log;
    for (const { name, type, offset } of schema.fields) {
      if (offset % sizeOf(type) !== 0) {
        throw new RangeError(
          `Cannot make a metric for field "${name}": offset ${offset} is not a multiple of ${sizeOf(type)}`,
        );
      }
    }
    this.#unattached = Cells.allocate(schema.size);
    this.#exported = new Map(
      schema.fields.map((field) => [field.name, createMetric(field, log)] as const),
    );
    this.#moveTo(this.#unattached);
    // Without a prototype: a field may well be called "constructor".
    this.metrics = Object.freeze(
      Object.assign(Object.create(null), Object.fromEntries(this.#exported)),
    );
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
    this.#moveTo(observer?.acquire() ?? this.#unattached);
    const previous = this.#observer;
    this.#observer = observer;
    // Now, not at the next tick: the supervisor may read it as soon as it knows of it.
    observer?.flush();
    previous?.release();
  }

  #moveTo(cells: Cells): void {
    for (const field of this.schema.fields) {
      this.#exported.get(field.name)!.moveTo(cells, field.offset);
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
