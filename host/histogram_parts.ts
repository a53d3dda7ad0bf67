// Histograms as a service has them: counters that say which one they are a part of.

import type { Field } from "./field.ts";
import { boundOf } from "./histogram_definition.ts";

/** One histogram of a service, by the fields that hold it. Its count is the sum of its buckets. */
export interface HistogramParts {
  readonly name: string;
  /** By their upper bounds, ascending; each counts what is above the bound before it. */
  readonly buckets: readonly Bucket[];
  /** The field that has the sum of what was observed, if there is one. */
  readonly sum: string | null;
  readonly unit: string | undefined;
  readonly help: string | undefined;
}

export interface Bucket {
  /** Inclusive; the last one may be infinite. */
  readonly bound: number;
  /** More than one where a foreign worker writes a bound in two ways. */
  readonly fields: readonly string[];
}

/** The histograms among the fields of a service, by name. */
export function histogramsOf(fields: ReadonlyMap<string, Field>): Map<string, HistogramParts> {
  const parts = new Map<string, Field[]>();
  for (const field of fields.values()) {
    if (field.histogram === undefined || field.kind !== "counter") continue;
    const known = parts.get(field.histogram);
    if (known === undefined) parts.set(field.histogram, [field]);
    else known.push(field);
  }
  const histograms = new Map<string, HistogramParts>();
  for (const [name, of] of parts) {
    const buckets = bucketsOf(of);
    if (buckets.length === 0) continue;
    const sum = of.find(({ le }) => le === undefined);
    const { unit, help } = sum ?? of[0]!;
    histograms.set(name, { name, buckets, sum: sum?.name ?? null, unit, help });
  }
  return histograms;
}

const INFINITE = "_bucket_inf";
const BUCKET = /^(.+)_bucket_(.+)$/;

/**
 * The histograms among fields of which no more is known than their names: those of workers that
 * declare them as `Schema.build` does.
 */
export function histogramsNamed(fields: Iterable<string>): Map<string, HistogramParts> {
  const names = new Set(fields);
  const buckets = new Map<string, Bucket[]>();
  for (const field of names) {
    if (!field.endsWith(INFINITE)) continue;
    const name = field.slice(0, -INFINITE.length);
    if (name !== "" && names.has(`${name}_sum`)) buckets.set(name, []);
  }
  if (buckets.size === 0) return new Map();
  for (const field of names) {
    const [, name = "", text = ""] = BUCKET.exec(field) ?? [];
    const bound = text === "inf" ? Number.POSITIVE_INFINITY : Number(text);
    if (!Number.isNaN(bound)) buckets.get(name)?.push({ bound, fields: [field] });
  }
  const histograms = new Map<string, HistogramParts>();
  for (const [name, of] of buckets) {
    of.sort((a, b) => (a.bound < b.bound ? -1 : 1));
    const sum = `${name}_sum`;
    histograms.set(name, { name, buckets: of, sum, unit: undefined, help: undefined });
  }
  return histograms;
}

/** The fields that hold it. */
export function partNames({ buckets, sum }: HistogramParts): string[] {
  const fields = buckets.flatMap(({ fields }) => fields);
  return sum === null ? fields : [...fields, sum];
}

function bucketsOf(fields: readonly Field[]): Bucket[] {
  const byBound = new Map<number, string[]>();
  for (const { name, le } of fields) {
    if (le === undefined) continue;
    const bound = boundOf(le);
    const known = byBound.get(bound);
    if (known === undefined) byBound.set(bound, [name]);
    else known.push(name);
  }
  return Array.from(byBound, ([bound, fields]) => ({ bound, fields })).sort(
    (a, b) => a.bound - b.bound,
  );
}
