// Histograms: counters that belong together, by their names.

/** @import { Value } from "./json.js" */

/**
 * @typedef {object} Bucket
 * @property {string} field
 * @property {number} bound
 *
 * @typedef {object} Parts
 * @property {string} name
 * @property {Bucket[]} buckets by bound.
 */

/**
 * The histograms among these counters.
 *
 * @param {readonly string[]} names
 * @returns {Parts[]}
 */
export function histogramsIn(names) {
  const whole = names.filter((name) => name.endsWith("_bucket_inf"));
  return whole.flatMap((infinite) => {
    const prefix = infinite.slice(0, -"inf".length);
    const name = prefix.slice(0, -"_bucket_".length);
    if (name === "" || !names.includes(`${name}_sum`)) return [];
    const buckets = names
      .filter((field) => field.startsWith(prefix))
      .map((field) => {
        const text = field.slice(prefix.length);
        return { field, bound: text === "inf" ? Number.POSITIVE_INFINITY : Number(text) };
      })
      .filter(({ bound }) => !Number.isNaN(bound))
      .sort((a, b) => (a.bound < b.bound ? -1 : 1));
    return [{ name, buckets }];
  });
}

/** Their fields. @param {Parts} parts */
export function fieldsOf({ name, buckets }) {
  return [`${name}_sum`, ...buckets.map(({ field }) => field)];
}

/**
 * What was observed between two looks: how much, and a function that estimates a quantile of it.
 * Undefined where it began anew.
 *
 * @param {Parts} parts
 * @param {(field: string) => Value | undefined} value
 * @param {(field: string) => Value | undefined} before
 */
export function observed({ buckets }, value, before) {
  const counts = buckets.map(({ field, bound }) => {
    const [now, then] = [value(field) ?? 0, before(field) ?? 0];
    const isExact = typeof now === "bigint" && typeof then === "bigint";
    return { bound, count: isExact ? Number(now - then) : Number(now) - Number(then) };
  });
  if (counts.some(({ count }) => count < 0)) return undefined;
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  return { total, quantile: (/** @type {number} */ q) => quantile(q * total, counts) };
}

/**
 * Like Prometheus: evenly spread in a bucket, the first one from 0, the last one at its lower bound.
 *
 * @param {number} rank
 * @param {readonly {bound: number, count: number}[]} counts
 */
function quantile(rank, counts) {
  let below = 0;
  let lower = 0;
  for (const { bound, count } of counts) {
    if (count > 0 && below + count >= rank) {
      const upper = Number.isFinite(bound) ? bound : lower;
      return lower + ((upper - lower) * (rank - below)) / count;
    }
    below += count;
    if (Number.isFinite(bound)) lower = bound;
  }
  return undefined;
}
