// What the plug-in must decide, whatever its host.

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {number[]} active one value a worker.
 * @property {"u32" | "f64"} [type] of the field; u32 where it is left out.
 * @property {number} [capacity] of a worker; 10 where it is left out.
 * @property {number} [ageMs] 0 where it is left out.
 * @property {number} wanted
 */

/** @type {Case[]} */
export const CASES = [
  { name: "idle", active: [0, 0, 0, 0], wanted: 0 },
  { name: "just comfortable", active: [7, 8], wanted: 0 },
  { name: "half-way to full", active: [15, 13], capacity: 16, wanted: 0.5 },
  { name: "full", active: [10, 10], wanted: 1 },
  { name: "more than full", active: [25, 10], wanted: 1 },
  { name: "one full, one idle", active: [10, 0], wanted: 0 },
  { name: "more than a stage", active: Array(200).fill(9.375), type: "f64", wanted: 0.75 },
  { name: "no workers", active: [], wanted: 0 },
  { name: "full, not yet stale", active: [10], ageMs: 1000, wanted: 1 },
  { name: "full, stale", active: [10], ageMs: 1000.5, wanted: 0 },
  { name: "full, of unknown age", active: [10], ageMs: NaN, wanted: 0 },
  { name: "full, of the future", active: [10], ageMs: -1, wanted: 0 },
  { name: "no number in one segment", active: [10, NaN], type: "f64", wanted: 0 },
  { name: "infinitely many", active: [Infinity, 1], type: "f64", wanted: 1 },
  { name: "fewer than none", active: [-5], type: "f64", wanted: 0 },
  { name: "no capacity", active: [10], capacity: 0, wanted: 0 },
  { name: "unknown capacity", active: [10], capacity: NaN, wanted: 0 },
  { name: "infinite capacity", active: [10], capacity: Infinity, wanted: 0 },
];

/** Messages that it must refuse: what is written over a good one of two workers, or its length. */
export const REFUSED = [
  { name: "no whole header", length: 31 },
  { name: "half a segment missing", length: 32 + 64 + 32 },
  { name: "more workers than segments", workers: 3 },
  { name: "fewer than no workers", workers: -1 },
  { name: "odd segments", segmentSize: 60 },
  { name: "segments of no size", segmentSize: 0 },
  { name: "unknown type", type: 18 },
  { name: "field beyond the segment", offset: 61 },
  { name: "field before the segment", offset: -8 },
];
