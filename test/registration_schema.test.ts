// Whatever a worker answers when it is asked for its schema.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Handler } from "../host/bus/bindings.ts";
import { symbol } from "../host/bus/values.ts";
import { register, wireRows } from "./support/ruby_worker.ts";
import { stage } from "./support/stage.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };

describe("schemas of workers", { concurrency: true }, () => {
  const NOTHING: readonly (readonly [string, unknown])[] = [
    ["nil", null],
    ["false", false],
    ["an empty array", []],
    ["an empty map", {}],
    ["an empty string", ""],
    ["a string", "abc"],
    ["a symbol", symbol("abc")],
    ["a map", { a: 1 }],
    ["a number", 7],
    ["NaN", Number.NaN],
    ["4097 rows", Array.from({ length: 4097 }, (_, i) => [symbol(`f${i}`), symbol("u8"), 0])],
  ];

  it("an answer without rows frees the segment at once", LIMIT, async (t) => {
    const { scene, bystander, free, call, leaves } = await stage(t);
    for (const [what, answer] of NOTHING) {
      const connection = call();
      const before = scene.log.with("did not provide utilization schema").length;
      const id = await register(connection, () => answer);
      assert.equal(typeof id, "number", what);
      assert.equal(scene.freeCount, free, what);
      assert.equal(scene.monitor.sampleByWorker().length, 1, what);
      const after = scene.log.with("did not provide utilization schema").length;
      assert.equal(after, before + 1, what);
      await leaves(connection, what);
    }
    await bystander.isUnharmed();
  });

  /** A row that is dropped, and why. */
  const BAD_ROWS: readonly (readonly [unknown, RegExp])[] = [
    [1, /row 1.* is not \[name, type, offset\]/],
    [null, /row 1/],
    ["abc", /row 1/],
    [[], /row 1/],
    [{ a: 1 }, /row 1/],
    [[symbol("a"), symbol("u64")], /"a".* is not \[name, type, offset\]/],
    [[symbol("a"), symbol("u64"), null], /"a".*offset is not a whole number/],
    [[symbol("a"), symbol("u64"), -4], /"a".*offset is not a whole number/],
    [[symbol("a"), symbol("u64"), 1.5], /"a".*offset is not a whole number/],
    [[symbol("a"), symbol("u64"), 2n ** 60n], /"a".*offset is not a whole number/],
    [[symbol("a"), symbol("u64"), -(2n ** 60n)], /"a".*offset is not a whole number/],
    [[symbol("a"), symbol("u64"), Number.NaN], /"a".*offset is not a whole number/],
    [[symbol("a"), symbol("u64"), 505], /"a".*ends at byte 513/],
    [[symbol("a"), symbol("u64"), 2 ** 40], /"a".*ends at byte 1099511627784/],
    [[symbol("a"), symbol("i64"), 0], /"a".*unknown type "i64"/],
    [[symbol("a"), symbol("constructor"), 0], /"a".*unknown type "constructor"/],
    [[symbol("a"), "u64", 0], /"a".*unknown type/],
    [[symbol("a"), 64, 0], /"a".*unknown type/],
    [[symbol(""), symbol("u64"), 0], /name is empty/],
    [[null, symbol("u64"), 0], /name is not a string/],
    [[symbol("worker_count"), symbol("u64"), 0], /"worker_count".*reserved/],
    [[symbol("a\nb"), symbol("u64"), 0], /control character/],
    [[symbol("a"), symbol("u64"), 0, { kind: "clock" }], /"a".*kind/],
    [[symbol("a"), symbol("u64"), 0, [1]], /"a".*options/],
  ];

  it("a bad row is dropped with one warning, and the others count", LIMIT, async (t) => {
    const { scene, bystander, call, leaves } = await stage(t);
    const good = wireRows([["good_total", "u64", 16]])[0];
    for (const [row, reason] of BAD_ROWS) {
      const connection = call();
      const before = scene.log.entries.length;
      const setup: Handler = () => [good, row];
      const id = await register(connection, setup);
      const lines = scene.log.entries.slice(before).filter((line) => line.startsWith("warn"));
      assert.equal(lines.length, 1, `${reason}: ${lines.join("; ")}`);
      assert.match(lines[0]!, reason);
      assert.match(lines[0]!, new RegExp(`of worker ${id} of service "odd"`));
      assert.deepEqual({ ...scene.monitor.sample().odd }, { good_total: 0, worker_count: 1 });
      scene.monitor.sample();
      scene.supervisor.statusText({ totals: true, byWorker: true });
      assert.equal(
        scene.log.entries.length,
        before + lines.length + 1,
        "said once, not per sample",
      );
      await leaves(connection, String(reason));
    }
    await bystander.isUnharmed();
  });

  it("a worker without a usable row is counted", LIMIT, async (t) => {
    const { scene, bystander, call, leaves } = await stage(t);
    for (const answer of [[[]], [1], [[symbol("a"), symbol("i32"), 0]]]) {
      const connection = call();
      await register(connection, () => answer);
      assert.deepEqual({ ...scene.monitor.sample().odd }, { worker_count: 1 });
      await leaves(connection, JSON.stringify(answer));
    }
    await bystander.isUnharmed();
  });

  it("a schema wider than its segment does not read the neighbour's", LIMIT, async (t) => {
    const { scene, bystander, call, leaves } = await stage(t);
    const connection = call();
    const names = Array.from({ length: 66 }, (_, index) => `f${index}`);
    await register(connection, () =>
      wireRows(names.map((name, i) => [name, "u64", 8 * i] as const)),
    );
    // Its neighbour begins where f64 would be.
    const neighbour = await scene.registered();
    await neighbour.ask("add", { by: 99 });
    const sample = scene.monitor.sample().odd!;
    assert.deepEqual(Object.keys(sample), [...names.slice(0, 64), "worker_count"]);
    assert.ok(names.slice(0, 64).every((name) => sample[name] === 0));
    assert.equal(scene.log.with("Dropped field").length, 2);
    assert.equal(scene.monitor.sample().web?.requests_total, 99);
    await neighbour.ask("close");
    await until(() => scene.supervisor.keys().length === 2, "the neighbour has left");
    await bystander.isUnharmed();
    await leaves(connection, "the worker");
  });
});
