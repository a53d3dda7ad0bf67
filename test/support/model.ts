// What a monitor promises, as a model: what a worker has counted counts once, whatever becomes of
// its connections and segments.

import type { FieldType } from "../../host/field_type.ts";

/** A field as workers declare it; counters end in `_total`. */
export interface ModelField {
  readonly name: string;
  readonly type: FieldType;
  readonly offset: number;
  readonly aggregate?: "min" | "max" | "last";
}

/** What is in a segment. */
export interface Content {
  readonly fields: readonly ModelField[];
  values: readonly bigint[];
}

/** What one worker counts, from its first registration on. */
export interface Lifetime {
  readonly service: string;
  /** How the monitor knows it again; null for a worker that has no such id. */
  readonly incarnation: string | null;
  /** What counts of it; null before it is registered. */
  counted: Content | null;
  /** Its place in registration order; null while it is in no sample. */
  registered: number | null;
}

/** Services and fields in order, each with its value. */
export type Report = readonly (readonly [string, readonly (readonly [string, bigint])[]])[];

/** The counters of all lifetimes, the dead included. Those that are zero are left out. */
export function modelTotals(lifetimes: Iterable<Lifetime>): Map<string, bigint> {
  const totals = new Map<string, bigint>();
  for (const { service, counted } of lifetimes) {
    counted?.fields.forEach(({ name }, index) => {
      const key = `${service} ${name}`;
      const sum = (totals.get(key) ?? 0n) + counted.values[index]!;
      if (name.endsWith("_total") && sum !== 0n) totals.set(key, sum);
    });
  }
  return totals;
}

/** The values of the lifetimes in samples, in order of first appearance. */
export function modelSample(live: readonly Lifetime[]): Report {
  const services = new Map<string, Map<string, bigint>>();
  for (const { service, counted } of live) {
    const data = services.get(service) ?? new Map<string, bigint>();
    services.set(service, data);
    counted?.fields.forEach(({ name, aggregate }, index) => {
      data.set(name, combined(data.get(name), counted.values[index]!, aggregate));
    });
    data.set("worker_count", (data.get("worker_count") ?? 0n) + 1n);
  }
  return [...services].map(([service, data]) => [service, [...data]]);
}

function combined(
  held: bigint | undefined,
  value: bigint,
  aggregate: ModelField["aggregate"],
): bigint {
  if (held === undefined || aggregate === "last") return value;
  if (aggregate === "min") return value < held ? value : held;
  if (aggregate === "max") return value > held ? value : held;
  return held + value;
}

/** The free segments of a growing file. */
export class ModelAllocator {
  readonly #free: { readonly segment: number; readonly moment: number }[] = [];
  readonly #most: number;
  readonly #perPage: number;
  #count = 0;

  constructor(count: number, most: number, perPage: number) {
    this.#most = most;
    this.#perPage = perPage;
    this.#growTo(count);
  }

  /** How many segments there are. */
  get count(): number {
    return this.#count;
  }

  /** How many are free, those that rest included. */
  get available(): number {
    return this.#free.length;
  }

  #growTo(count: number): void {
    while (this.#count < count) this.#free.push({ segment: this.#count++, moment: 0 });
  }

  /** The one that has been free for longest of those that have rested; else the file grows. */
  allocate(now: number): number | null {
    const first = (): number => this.#free.findIndex(({ moment }) => moment <= now);
    if (first() < 0) {
      const pages = Math.ceil((this.#count * 2) / this.#perPage);
      this.#growTo(Math.min(pages * this.#perPage, this.#most));
    }
    const place = first();
    return place < 0 ? null : this.#free.splice(place, 1)[0]!.segment;
  }

  free(segment: number, moment: number): void {
    this.#free.push({ segment, moment });
  }

  /** Another supervisor has taken over: it hands out what was never used, then the others. */
  adopt(count: number, used: number, held: ReadonlySet<number>, moment: number): void {
    this.#free.length = 0;
    this.#count = Math.max(used, 0);
    this.#growTo(count);
    for (let segment = 0; segment < used; segment++) {
      if (!held.has(segment)) this.free(segment, moment);
    }
  }
}
