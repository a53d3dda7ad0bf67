import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { exactJson } from "../host/exact_json.ts";

describe("exactJson()", () => {
  it("writes integers of any size with all their digits", () => {
    assert.equal(exactJson({ a: 2n ** 70n, b: [-1n, 1] }), `{"a":${2n ** 70n},"b":[-1,1]}`);
  });

  it("writes null for what JSON cannot say", () => {
    assert.equal(exactJson([Number.NaN, Number.POSITIVE_INFINITY, null]), "[null,null,null]");
  });

  it("agrees with JSON.stringify on everything else", () => {
    for (const value of [
      'q"\n\u2028',
      true,
      -0,
      1e21,
      0.1,
      {},
      [],
      { a: undefined, b: { c: [1] } },
    ]) {
      assert.equal(exactJson(value), JSON.stringify(value));
    }
  });
});
