// Whoever wants more than a limit allows gets no more. It is counted, said once, and nobody else
// notices.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { encodeMessage } from "../host/bus/messages.ts";
import { type ObjectReference, symbol } from "../host/bus/values.ts";
import { LimitWatch, type SupervisorLimits, withDefaults } from "../host/limits.ts";
import { budgeted } from "../host/log.ts";
import { Supervisor } from "../host/supervisor.ts";
import { UtilizationMonitor } from "../host/utilization_monitor.ts";
import { bytes, invoke } from "./bus_captures.ts";
import { Bystander } from "./support/bystander.ts";
import { CollectingLogger } from "./support/log.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { dial, register, wireRows } from "./support/ruby_worker.ts";
import { Scene, type SceneOptions } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };
const SUPERVISOR = symbol("supervisor");
const ONE_FIELD = wireRows([["x_total", "u64", 0]]);

/** A scene with a worker that goes on counting, and what the test does until a limit is reached. */
function reaches(
  name: string,
  options: SceneOptions,
  reach: (scene: Scene) => Promise<void>,
  { times = 1, atLeast = false }: { times?: number; atLeast?: boolean } = {},
): void {
  it(name, LIMIT, async (t) => {
    const scene = await Scene.supervised(t, { leaseMs: 50, ...options });
    const bystander = await Bystander.enter(scene);
    const client = call(scene);
    await client.invoke("supervisor", "keys");
    assert.equal(scene.supervisor.limitsReached[name], 0);
    await reach(scene);
    await until(() => scene.supervisor.limitsReached[name]! >= times, `${name} is counted`);
    // Nothing else was.
    const { [name]: count, ...others } = scene.supervisor.limitsReached;
    assert.ok(atLeast ? count! >= times : count === times, `${count} times, not ${times}`);
    assert.ok(
      Object.values(others).every((other) => other === 0),
      JSON.stringify(others),
    );
    const lines = scene.log.with(`(limit "${name}", said once while it goes on)`);
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.match(lines[0]!, /^warn /);
    const told = (await client.invoke("supervisor", "limits_reached")) as Record<string, number>;
    assert.equal(told[name], count);
    await bystander.isUnharmed();
  });
}

function call(scene: Scene) {
  const connection = dial(scene.socket);
  scene.atEnd(() => connection.close());
  return connection;
}

function raw(scene: Scene): RawPeer {
  const peer = RawPeer.connect(scene.socket);
  scene.atEnd(() => peer.close());
  return peer;
}

/** Sends frames, and waits until the connection is ended for it. */
async function ends(scene: Scene, ...frames: Uint8Array[]): Promise<void> {
  const peer = raw(scene);
  for (const frame of frames) peer.send(frame);
  await until(() => peer.ended, "the connection is ended");
}

/** With limits for peers. */
function only(peerLimits: SupervisorLimits): SceneOptions {
  return { peerLimits };
}

const keys = (...values: unknown[]) => encodeMessage(invoke(1, SUPERVISOR, "keys", values));

describe("limits of a connection", () => {
  reaches(
    "frameSize",
    only({ frameSize: 1000 }),
    async (scene) => {
      await ends(scene, keys("x".repeat(2000)));
      await ends(scene, keys("x".repeat(3000)));
    },
    { times: 2 },
  );

  reaches("nesting", only({ nesting: 8 }), async (scene) => {
    const nested = JSON.parse(`${"[".repeat(9)}1${"]".repeat(9)}`);
    await ends(scene, keys(nested));
  });

  reaches("values", only({ values: 50 }), async (scene) => {
    await ends(scene, keys(...new Array(60).fill(1)));
  });

  reaches("firstFrameMs", only({ firstFrameMs: 500 }), async (scene) => ends(scene));

  reaches("frameMs", only({ frameMs: 50 }), async (scene) => {
    const peer = raw(scene);
    peer.send(keys());
    assert.notEqual(await peer.next(), null);
    // A byte now and then, of a frame that never ends.
    peer.send(bytes("c9 00 00 ff ff 00"));
    const timer = setInterval(() => peer.send(bytes("01")), 5);
    await until(() => peer.ended, "the slow writer is disconnected");
    clearInterval(timer);
  });

  reaches("serving", only({ serving: 3 }), async (scene) => {
    const slow = call(scene);
    slow.bind("worker", { public_send: () => new Promise(() => {}) });
    await register(slow, () => ONE_FIELD);
    slow.bind("worker", { public_send: () => new Promise(() => {}) });
    const client = call(scene);
    const worker = (await client.invoke("supervisor", "[]", [2])) as ObjectReference;
    const calls = Array.from({ length: 4 }, () => client.invoke(worker, "thread_dump"));
    for (const { status } of await Promise.allSettled(calls)) assert.equal(status, "rejected");
  });

  reaches("calls", only({ calls: 3 }), async (scene) => {
    const slow = call(scene);
    await register(slow, () => ONE_FIELD);
    slow.bind("worker", { public_send: () => new Promise(() => {}) });
    const client = call(scene);
    const worker = (await client.invoke("supervisor", "[]", [2])) as ObjectReference;
    const calls = Array.from({ length: 4 }, () => client.invoke(worker, "thread_dump"));
    await assert.rejects(calls[3]!, /3 calls are open/);
    slow.close();
    await Promise.allSettled(calls);
  });

  reaches("temporaries", only({ temporaries: 1 }), async (scene) => {
    const client = call(scene);
    await register(call(scene), () => ONE_FIELD);
    await client.invoke("supervisor", "[]", [1]);
    await assert.rejects(client.invoke("supervisor", "[]", [2]), /more than 1 objects/);
    assert.deepEqual(await client.invoke("supervisor", "keys"), [1, 2]);
  });

  reaches("sentFrameSize", only({ sentFrameSize: 1000 }), async (scene) => {
    const names = Array.from({ length: 40 }, (_, i) => `a_field_of_a_long_name_${i}`);
    await register(call(scene), () => wireRows(names.map((name, i) => [name, "u64", 8 * i])));
    await assert.rejects(call(scene).invoke("supervisor", "status_json"), /limit is 1000 bytes/);
  });

  reaches("unsentSize", only({ unsentSize: 20_000 }), async (scene) => {
    const names = Array.from({ length: 40 }, (_, i) => `${"n".repeat(200)}${i}`);
    await register(call(scene), () => wireRows(names.map((name, i) => [name, "u64", 8 * i])));
    const deaf = connect(scene.socket).pause();
    scene.atEnd(() => deaf.destroy());
    deaf.on("error", () => {});
    const status = encodeMessage(invoke(1, SUPERVISOR, "status"));
    await until(() => {
      for (let i = 0; i < 20 && !deaf.destroyed; i++) deaf.write(status);
      return scene.supervisor.limitsReached.unsentSize! > 0;
    }, "the deaf client is disconnected");
  });

  reaches("registrations", only({ registrations: 3 }), async (scene) => {
    const options = { process_id: null };
    const again = encodeMessage(invoke(1, SUPERVISOR, "register", [null], options));
    await ends(scene, again, again, again, again);
    await until(() => scene.supervisor.keys().length === 1, "it is no worker any more");
  });
});

describe("limits of a supervisor", () => {
  reaches(
    "connections",
    only({ connections: 4 }),
    async (scene) => {
      const [, last] = [call(scene), call(scene)];
      await last!.invoke("supervisor", "keys");
      await ends(scene);
      last!.close();
      await until(async () => {
        const next = dial(scene.socket);
        scene.atEnd(() => next.close());
        return next.invoke("supervisor", "keys").catch(() => null);
      }, "there is room again");
    },
    { atLeast: true },
  );

  reaches("workers", only({ workers: 2 }), async (scene) => {
    const second = call(scene);
    await register(second, () => ONE_FIELD);
    await assert.rejects(
      register(call(scene), () => ONE_FIELD),
      /there are 2 workers already/,
    );
    second.close();
    await until(() => scene.supervisor.keys().length === 1, "one has left");
    await register(call(scene), () => ONE_FIELD);
  });

  reaches(
    "logLines",
    only({ logLines: 5 }),
    async (scene) => {
      for (let i = 0; i < 8; i++) await ends(scene, bytes("c1"));
      assert.equal(scene.log.with("Disconnected peer").length, 5);
    },
    { times: 3 },
  );
});

describe("limits of a monitor", () => {
  reaches("services", { limits: { services: 2 } }, async (scene) => {
    const second = call(scene);
    await register(second, () => ONE_FIELD, { name: "second" });
    const third = call(scene);
    assert.equal(await register(third, () => ONE_FIELD, { name: "third" }), 3);
    assert.deepEqual(Object.keys(scene.monitor.sample()), ["bystander", "second"]);
    const refused = scene.log.with("Failed to allocate utilization segment");
    assert.equal(refused.length, 1);
    assert.match(
      refused[0]!,
      /"service":"third","reason":"there are 2 services with workers already","remedy":"raise the limit \\"services\\""/,
    );
    // Another worker of a known service is welcome.
    await register(call(scene), () => ONE_FIELD, { name: "second" });
    assert.equal(scene.monitor.sample().second?.worker_count, 2);
  });

  reaches("fields", { limits: { fields: 5 } }, async (scene) => {
    const rows = (prefix: string, count: number) =>
      wireRows(Array.from({ length: count }, (_, i) => [`${prefix}${i}_total`, "u64", 8 * i]));
    // The bystander has two of the five.
    await register(call(scene), () => rows("a", 10), { name: "wide" });
    assert.deepEqual(
      { ...scene.monitor.sample().wide },
      { a0_total: 0, a1_total: 0, a2_total: 0, worker_count: 1 },
    );
  });

  it("counters without workers make room for new fields", LIMIT, async (t) => {
    const scene = await Scene.supervised(t, { limits: { fields: 3 } });
    const first = await scene.registered({
      name: "old",
      schema: { a_total: "u64", b_total: "u64" },
    });
    await first.kill();
    await until(() => scene.monitor.totals().old?.worker_count === 0, "the old one is retired");
    await until(() => scene.monitor.detachedCount === 0, "its segment is free");
    assert.equal(scene.supervisor.limitsReached.fields, 0);
    await scene.registered({ name: "new", schema: { c_total: "u64", d_total: "u64" } });
    // One of the old ones was enough.
    assert.deepEqual(scene.monitor.totals(), {
      __proto__: null,
      old: { __proto__: null, b_total: 0, worker_count: 0 },
      new: { __proto__: null, c_total: 0, d_total: 0, worker_count: 1 },
    });
    assert.equal(scene.supervisor.limitsReached.fields, 1);
  });
});

describe("limits are checked", () => {
  it("by the constructors, naming limit and value", async () => {
    for (const value of [0, -1, 1.5, Number.NaN, "5"]) {
      const limits = { fields: value as number };
      assert.throws(() => new UtilizationMonitor({ limits }), {
        name: "RangeError",
        message: `Cannot use limit "fields" of ${value}: must be a whole number from 1`,
      });
      const peerLimits = { workers: value as number };
      await assert.rejects(Supervisor.listen({ limits: peerLimits }), /limit "workers"/);
    }
    const defaults = { services: 1, fields: 2, logLines: 3 };
    const given = { fields: Number.POSITIVE_INFINITY, services: undefined };
    assert.deepEqual(withDefaults<{ services?: number }>(given as object, defaults), {
      ...defaults,
      fields: Number.POSITIVE_INFINITY,
    });
  });
});

describe("LimitWatch", () => {
  it("says what goes on once, and again after ten quiet minutes", () => {
    const log = new CollectingLogger();
    let now = 0;
    const watch = new LimitWatch(["a", "b"], log, () => now);
    for (; now < 3_600_000; now += 599_999) watch.reached("a", "too much");
    assert.equal(log.lines.length, 1);
    assert.deepEqual({ ...watch.counts }, { a: 7, b: 0 });
    watch.reached("b", "other");
    assert.equal(log.lines.length, 2);
    now += 600_000;
    watch.reached("a", "too much");
    assert.equal(log.lines.length, 3);
    assert.equal(log.lines[0], 'too much (limit "a", said once while it goes on)');
  });
});

describe("budgeted()", () => {
  it("lets so many lines through in ten seconds, whatever their level", () => {
    const inner = new CollectingLogger();
    let now = 0;
    let full = 0;
    const log = budgeted(
      inner,
      3,
      () => full++,
      () => now,
    );
    const say = () => {
      log.info("a", 1);
      log.warn("b");
      log.error("c");
      log.debug("d");
      log.info("e");
    };
    say();
    assert.deepEqual(inner.entries, ["info a 1", "warn b", "error c", "debug d"]);
    assert.equal(full, 1);
    now = 9_999;
    say();
    assert.equal(inner.entries.length, 5);
    assert.equal(full, 5);
    now = 10_000;
    say();
    assert.equal(inner.entries.length, 9);
  });
});
