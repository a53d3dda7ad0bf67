import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { authority, parseAddress } from "../host/http/address.ts";
import { preferredFormat } from "../host/http/negotiation.ts";

describe("preferredFormat()", () => {
  const PROMETHEUS =
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
  for (const [accept, expected] of [
    [undefined, "text"],
    ["*/*", "text"],
    [PROMETHEUS, "openmetrics"],
    ["text/plain;version=0.0.4;q=0.9, application/openmetrics-text; version=1.0.0; q=0.5", "text"],
    ["application/openmetrics-text;q=0, */*;q=0.1", "text"],
    ["application/openmetrics-text; version=2.0.0, text/plain;q=0.1", "text"],
    ["application/openmetrics-text;q=nonsense", "text"],
    ["text/html,application/xhtml+xml,*/*;q=0.8", "text"],
    ["Application/OpenMetrics-Text;Version=1.0.0;escaping=allow-utf-8", "openmetrics"],
  ] as const) {
    it(`takes ${expected} for ${accept}`, () => assert.equal(preferredFormat(accept), expected));
  }
});

describe("parseAddress()", () => {
  for (const [text, expected] of [
    ["9464", "127.0.0.1:9464"],
    [":80", "127.0.0.1:80"],
    ["127.0.0.1:0", "127.0.0.1:0"],
    ["0.0.0.0:9464", "0.0.0.0:9464"],
    ["localhost", "localhost:9464"],
    ["metrics.example:65535", "metrics.example:65535"],
    ["[::1]:9000", "[::1]:9000"],
    ["[::]", "[::]:9464"],
  ] as const) {
    it(`reads ${text}`, () => assert.equal(authority(parseAddress(text)), expected));
  }
  for (const text of [
    "",
    ":",
    "65536",
    "a:b",
    "::1",
    "[::1",
    "[a]:1",
    "http://a",
    "a b",
    "-1",
    "a:1:2",
  ]) {
    it(`refuses "${text}"`, () => {
      assert.throws(() => parseAddress(text), { name: "RangeError", message: /Cannot listen on/ });
    });
  }
});
