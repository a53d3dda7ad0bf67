import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { stderrLogger } from "../host/log.ts";

describe("stderrLogger", () => {
  const original = console.error;
  let lines: unknown[][];

  beforeEach(() => {
    lines = [];
    console.error = (...line) => lines.push(line);
  });

  afterEach(() => {
    console.error = original;
  });

  it("writes one line per message, with time and level", () => {
    stderrLogger.debug("nothing");
    stderrLogger.info("a");
    stderrLogger.warn("b", "c", { d: [1] });
    stderrLogger.error("e", new Error("f"));
    const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /;
    const texts = lines.map(([line, ...others]) => {
      assert.deepEqual(others, []);
      assert.match(line as string, time);
      return (line as string).replace(time, "");
    });
    assert.deepEqual(texts.slice(0, 2), ["INFO a", "WARN b c { d: [ 1 ] }"]);
    assert.match(texts[2]!, /^ERROR e Error: f \| at /);
    assert.equal(texts.length, 3);
  });

  it("lets no control character through", () => {
    stderrLogger.info("a\r\nb\u001b[31mc\u0000");
    assert.match(lines[0]![0] as string, /INFO a \| b\u{fffd}\[31mc\u{fffd}$/u);
  });
});
