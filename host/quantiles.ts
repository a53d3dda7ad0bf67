// Quantiles of a histogram, as Prometheus estimates them with histogram_quantile.

import type { HistogramParts } from "./histogram_parts.ts";
import type { HistogramSample } from "./sample.ts";

type Value = number | bigint;

/** What is in a bucket, and not in those before it. */
export interface BucketCount {
  /** Inclusive; the last one may be infinite. */
  readonly bound: number;
  readonly count: Value;
}

/** Those that views tell. */
export const QUANTILES = { p50: 0.5, p90: 0.9, p99: 0.99 } as const;

export type QuantileName = keyof typeof QUANTILES;

/**
 * The value that a part `q` (0 to 1) of all observations does not exceed, taking those of a bucket for
 * evenly spread between its bounds. The first bucket begins at 0; what is above all finite bounds is
 * told as the highest of them. Undefined where nothing was observed or, by a stranger's count, infinitely
 * much; and where no bound is finite.
 *
 * @param buckets by bound, ascending.
 */
export function quantile(q: number, buckets: readonly BucketCount[]): number | undefined {
  const total = countOf(buckets);
  if (
    !(total > 0) ||
    Number(total) === Number.POSITIVE_INFINITY ||
    buckets[0]!.bound === Number.POSITIVE_INFINITY
  )
    return undefined;
  const rank = q * Number(total);
  let below = 0;
  let lower = 0;
  for (const { bound, count } of buckets) {
    const within = Math.max(0, Number(count));
    if (within > 0 && below + within >= rank) {
      if (bound === Number.POSITIVE_INFINITY) return lower;
      return bound <= 0 ? bound : lower + ((bound - lower) * (rank - below)) / within;
    }
    below += within;
    if (bound !== Number.POSITIVE_INFINITY) lower = Math.max(0, bound);
  }
  return lower;
}

/** How much was observed: a bigint where all counts are. */
export function countOf(buckets: readonly BucketCount[]): Value {
  let exact = 0n;
  let rounded = 0;
  let isExact = buckets.length > 0;
  for (const { count } of buckets) {
    if (typeof count === "bigint") exact += count;
    else isExact = false;
    rounded += Number(count);
  }
  return isExact ? exact : rounded;
}

/** What the buckets of a histogram have, by the values of its fields. */
export function bucketCounts(
  { buckets }: HistogramParts,
  read: (field: string) => Value | undefined,
): BucketCount[] {
  return buckets.map(({ bound, fields }) => {
    const counts = fields.map((field) => ({ bound, count: read(field) ?? 0 }));
    return counts.length === 1 ? counts[0]! : { bound, count: countOf(counts) };
  });
}

/** A histogram by the values of its fields, as a status tells it. */
export function histogramSample(
  parts: HistogramParts,
  read: (field: string) => Value | undefined,
): HistogramSample {
  const counts = bucketCounts(parts, read);
  const sum = parts.sum === null ? undefined : read(parts.sum);
  return {
    count: countOf(counts),
    ...(sum !== undefined && { sum }),
    p50: quantile(QUANTILES.p50, counts) ?? null,
    p90: quantile(QUANTILES.p90, counts) ?? null,
    p99: quantile(QUANTILES.p99, counts) ?? null,
  };
}
