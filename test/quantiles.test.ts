import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { countOf, quantile } from "../host/quantiles.ts";

const bucketsOf = (counts: Readonly<Record<string, number | bigint>>) =>
  Object.entries(counts)
    .map(([bound, count]) => ({ bound: Number(bound), count }))
    .sort((a, b) => (a.bound < b.bound ? -1 : 1));

describe("quantile()", () => {
  // As histogram_quantile of Prometheus tells it of the same buckets.
  const buckets = bucketsOf({ 0.1: 10, 0.5: 20, 1: 10, Infinity: 0 });

  it("is linear within a bucket, and the first one begins at 0", () => {
    assert.equal(quantile(0.5, buckets), 0.1 + 0.4 * (10 / 20));
    assert.equal(quantile(0.125, buckets), 0.05);
    assert.equal(quantile(0.25, buckets), 0.1);
    assert.equal(quantile(0.9, buckets), 0.5 + 0.5 * (6 / 10));
    assert.equal(quantile(1, buckets), 1);
    assert.equal(quantile(0, buckets), 0);
  });

  it("tells what is above all bounds as the highest of them", () => {
    assert.equal(quantile(0.99, bucketsOf({ 1: 1, 2: 0, Infinity: 9 })), 2);
    assert.equal(quantile(0.5, bucketsOf({ 1: 0, 2: 0, Infinity: 1 })), 2);
  });

  it("passes over empty buckets", () => {
    assert.equal(quantile(0.5, bucketsOf({ 1: 0, 2: 0, 4: 2, Infinity: 0 })), 3);
    assert.equal(quantile(0, bucketsOf({ 1: 0, 2: 0, 4: 2, Infinity: 0 })), 2);
  });

  it("is undefined where there is nothing to estimate it from", () => {
    assert.equal(quantile(0.5, []), undefined);
    assert.equal(quantile(0.5, bucketsOf({ 1: 0, Infinity: 0 })), undefined);
    assert.equal(quantile(0.5, bucketsOf({ 1: 0n, Infinity: 0n })), undefined);
    assert.equal(quantile(0.5, bucketsOf({ Infinity: 3 })), undefined);
    assert.equal(quantile(0.5, bucketsOf({ 1: Number.NaN, Infinity: 3 })), undefined);
  });

  it("takes bigints, and what a stranger writes", () => {
    assert.equal(quantile(0.5, bucketsOf({ 1: 2n ** 70n, 2: 2n ** 70n, Infinity: 0n })), 1);
    assert.equal(quantile(0.5, bucketsOf({ 1: Number.POSITIVE_INFINITY, 2: 1 })), undefined);
    assert.equal(quantile(0.5, bucketsOf({ 1: -4, 2: 8, Infinity: 0 })), 1.25);
    assert.equal(
      quantile(0.5, [
        { bound: 0, count: 3 },
        { bound: 1, count: 1 },
      ]),
      0,
    );
  });
});

it("countOf() is exact where all counts are bigints", () => {
  assert.equal(countOf(bucketsOf({ 1: 2n ** 60n, 2: 1n })), 2n ** 60n + 1n);
  assert.equal(countOf(bucketsOf({ 1: 2n, 2: 1 })), 3);
  assert.equal(countOf([]), 0);
});
