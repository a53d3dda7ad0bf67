// Whatever a worker does when it registers: no segment leaks, and nobody else notices.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RemoteError } from "../host/bus/errors.ts";
import { symbol } from "../host/bus/values.ts";
import type { WorkerController } from "../host/worker_controller.ts";
import { register, wireRows } from "./support/ruby_worker.ts";
import { stage } from "./support/stage.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };

describe("registration", { concurrency: true }, () => {
  it("a worker that is nil gets an id and no segment", LIMIT, async (t) => {
    const { scene, bystander, free, call, leaves } = await stage(t);
    const connection = call();
    const options = { process_id: process.pid };
    assert.equal(await connection.invoke("supervisor", "register", [null], { options }), 2);
    assert.equal(scene.freeCount, free);
    assert.deepEqual(await connection.invoke("supervisor", "keys"), [1, 2]);
    await bystander.isUnharmed();
    await leaves(connection, "nobody");
  });

  it(
    "a second registration on one connection is refused, and the first stays",
    LIMIT,
    async (t) => {
      const { scene, bystander, free, call, leaves } = await stage(t);
      const connection = call();
      const answer = () => wireRows([["jobs_total", "u64", 0]]);
      assert.equal(await register(connection, answer), 2);
      await assert.rejects(register(connection, answer), {
        className: "RuntimeError",
        message: "Already registered",
      });
      assert.equal(scene.freeCount, free - 1);
      assert.equal(scene.monitor.sample().odd?.worker_count, 1);
      await bystander.isUnharmed();
      await leaves(connection, "the worker");
    },
  );

  it("the monitor refuses an id that is registered already", LIMIT, async (t) => {
    const { scene, bystander, free } = await stage(t);
    const controller: WorkerController = {
      id: 77,
      processId: null,
      state: {},
      worker: { setupUtilizationObserver: async () => [["x_total", "u64", 0]] },
    };
    const [first, second] = await Promise.allSettled([
      scene.monitor.register(controller),
      scene.monitor.register(controller),
    ]);
    assert.equal(first.status, "fulfilled");
    assert.equal(second.status, "rejected");
    await assert.rejects(scene.monitor.register(controller), /worker 77: it is registered already/);
    assert.equal(scene.freeCount, free - 1);
    assert.equal(scene.monitor.sample().unknown?.worker_count, 1);
    scene.monitor.remove(controller);
    await until(() => scene.freeCount === free, "the segment is free");
    await bystander.isUnharmed();
  });

  it("a worker that raises is logged once, and leaves nothing", LIMIT, async (t) => {
    const { scene, bystander, free, call, leaves } = await stage(t);
    const connection = call();
    const id = await register(connection, () => {
      throw new RemoteError("on purpose", "ArgumentError");
    });
    assert.equal(id, 2);
    assert.equal(scene.freeCount, free, "it is free while the peer is still there");
    assert.deepEqual(await connection.invoke("supervisor", "keys"), [1, 2]);
    assert.equal(scene.monitor.sampleByWorker().length, 1);
    const lines = scene.log.with("Error setting up worker utilization");
    assert.equal(lines.length, 1);
    assert.match(lines[0]!, /on purpose/);
    await bystander.isUnharmed();
    await leaves(connection, "the worker");
  });

  it("a worker that never answers holds up nobody", LIMIT, async (t) => {
    const { scene, bystander, free, call, leaves } = await stage(t, 300);
    const connection = call();
    let asked = false;
    const registering = register(connection, () => {
      asked = true;
      return new Promise(() => {});
    });
    await until(() => asked, "it was asked");
    await bystander.isUnharmed();
    // Others register and are read in the meantime.
    const other = call();
    assert.equal(await register(other, () => wireRows([["x_total", "u64", 0]]), { name: "x" }), 3);
    assert.equal(scene.monitor.sample().x?.worker_count, 1);
    other.close();
    await until(() => scene.monitor.sample().x === undefined, "the other has left");
    assert.equal(await registering, 2);
    const lines = scene.log.with("Error setting up worker utilization");
    assert.equal(lines.length, 1);
    assert.match(lines[0]!, /no answer within 300 ms/);
    assert.equal(scene.monitor.sampleByWorker().length, 1);
    assert.ok(scene.freeCount <= free);
    await leaves(connection, "the worker");
  });

  it("a worker that leaves while it is asked leaves nothing", LIMIT, async (t) => {
    const { scene, bystander, call, leaves } = await stage(t);
    const connection = call();
    let asked = false;
    register(connection, () => {
      asked = true;
      return new Promise(() => {});
    }).catch(() => {});
    await until(() => asked, "it was asked");
    await leaves(connection, "the worker");
    assert.equal(scene.monitor.sampleByWorker().length, 1);
    await bystander.isUnharmed();
  });

  it("a registration of the wrong shape is answered with an error", LIMIT, async (t) => {
    const { scene, bystander, free, call } = await stage(t);
    const state = new Map([[symbol("name"), "odd"]]);
    const cases: readonly (readonly [unknown[], Record<string, unknown>, string])[] = [
      [[null], {}, "ArgumentError"],
      [[null], { state }, "ArgumentError"],
      [[null], { process_id: 1, state: 7 }, "TypeError"],
      [[null], { process_id: 1, state: [1] }, "TypeError"],
      [["worker"], { process_id: 1 }, "TypeError"],
      [[42], { process_id: 1 }, "TypeError"],
    ];
    const connection = call();
    for (const [positional, options, className] of cases) {
      const answer = connection.invoke("supervisor", "register", positional, { options });
      await assert.rejects(answer, { className }, JSON.stringify(options));
    }
    // None of them has used up the connection.
    assert.equal(await register(connection, () => []), 2);
    assert.equal(scene.freeCount, free);
    await bystander.isUnharmed();
  });

  it("names of services may be anything", LIMIT, async (t) => {
    const { scene, bystander, call } = await stage(t);
    const names: readonly (readonly [unknown, string])[] = [
      [null, "unknown"],
      [false, "unknown"],
      [7, "7"],
      [2n ** 60n, "1152921504606846976"],
      [{ a: [2n ** 60n, Number.NaN] }, '{"a":[1152921504606846976,null]}'],
      [Uint8Array.of(0xff), '{"0":255}'],
      [symbol("web"), "web"],
      ["web", "web"],
      ["__proto__", "__proto__"],
      ["constructor", "constructor"],
      ["x".repeat(1000), "x".repeat(255)],
    ];
    const counts = new Map<string, number>();
    for (const [name, service] of names) {
      const connection = call();
      const worker = connection.bind("worker", {
        setup_utilization_observer: () => wireRows([["a_total", "u64", 0]]),
      });
      const options = { process_id: null, state: new Map([[symbol("name"), name]]) };
      await connection.invoke("supervisor", "register", [worker], { options });
      counts.set(service, (counts.get(service) ?? 0) + 1);
    }
    for (const [service, count] of counts) {
      assert.equal(scene.monitor.sample()[service]?.worker_count, count, service);
      assert.equal(JSON.parse(scene.monitor.stringify())[service].worker_count, count, service);
    }
    await bystander.isUnharmed();
  });
});
