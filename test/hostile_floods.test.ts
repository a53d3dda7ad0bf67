// Peers that send more than anybody needs: half frames, registrations, schemas, and names made to
// fool whoever reads them.
import assert from "node:assert/strict";
import { it } from "node:test";
import { encodeMessage } from "../host/bus/messages.ts";
import { ObjectReference, symbol } from "../host/bus/values.ts";
import { stderrLogger } from "../host/log.ts";
import { bytes, invoke, symbols } from "./bus_captures.ts";
import { runCli } from "./fixtures/cli_process.ts";
import { Bystander } from "./support/bystander.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { dial, register, wireRows } from "./support/ruby_worker.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 120_000 };
const SUPERVISOR = symbol("supervisor");

function raw(scene: Scene): RawPeer {
  const peer = RawPeer.connect(scene.socket);
  scene.atEnd(() => peer.close());
  return peer;
}

it("many half frames end their connections, and hold up nobody", LIMIT, async (t) => {
  const scene = await Scene.supervised(t, { peerLimits: { firstFrameMs: 2000 } });
  const bystander = await Bystander.enter(scene);
  const before = process.memoryUsage().arrayBuffers;
  const peers = Array.from({ length: 100 }, () => raw(scene));
  // All but the last byte of a frame of 100 kB.
  const whole = encodeMessage(invoke(1, SUPERVISOR, "keys", ["x".repeat(100_000)]));
  for (const peer of peers) peer.send(whole.subarray(0, -1));
  const client = dial(scene.socket);
  scene.atEnd(() => client.close());
  assert.deepEqual(await client.invoke("supervisor", "keys"), [1]);
  await bystander.isUnharmed();
  await until(() => peers.every(({ ended }) => ended), "all are disconnected");
  assert.equal(scene.supervisor.limitsReached.firstFrameMs, 100);
  assert.equal(scene.log.with("no whole frame within").length, 1);
  // What they sent, once at each end, and twice over while a buffer grows: not more.
  const held = process.memoryUsage().arrayBuffers - before;
  assert.ok(held < 100 * 6 * whole.length, `${held} bytes`);
  await bystander.isUnharmed();
});

it("a storm of registrations fills neither the file nor the log for good", LIMIT, async (t) => {
  const options = { leaseMs: 300, reuseDelayMs: 0, size: 8192, maxSize: 32_768 };
  const scene = await Scene.supervised(t, { ...options, limits: { logLines: 50 } });
  const bystander = await Bystander.enter(scene);
  const rows = wireRows([["x_total", "u64", 0]]);
  let registered = 0;
  for (let round = 0; round < 10; round++) {
    const storm = Array.from({ length: 30 }, () => dial(scene.socket));
    const ids = await Promise.all(storm.map((peer) => register(peer, () => rows)));
    registered += ids.length;
    for (const peer of storm) peer.close();
  }
  assert.equal(registered, 300);
  await bystander.isUnharmed();
  assert.ok(scene.monitor.allocator!.size <= options.maxSize);
  assert.ok(scene.log.with("worker utilization").length <= 51);
  assert.ok(scene.supervisor.limitsReached.logLines! > 0);
  assert.equal(scene.log.with('(limit "logLines"').length, 1);
  await until(() => scene.monitor.detachedCount === 0, "the leases have ended");
  assert.equal(scene.freeCount, scene.monitor.allocator!.segmentCount - 1);
  assert.deepEqual(scene.supervisor.keys(), [1]);
  // An honest worker finds its place again.
  await scene.registered({ name: "honest" });
});

it("schemas as large as can be, and new ones each time, are bounded", LIMIT, async (t) => {
  const scene = await Scene.supervised(t, { leaseMs: 20, limits: { fields: 200, services: 20 } });
  const bystander = await Bystander.enter(scene);
  const enter = async (name: string, names: readonly string[]): Promise<void> => {
    const peer = dial(scene.socket);
    const rows = wireRows(names.map((field, i) => [field, "U8", i % 512]));
    await register(peer, () => rows, { name });
    peer.close();
  };
  const many = (count: number, prefix: string) =>
    Array.from({ length: count }, (_, i) => `${prefix}${i}_total`);
  await enter("wide", many(4096, "a"));
  await enter("wider", many(4097, "b"));
  await enter("long", ["n".repeat(200_000)]);
  for (let i = 0; i < 40; i++) await enter(`service ${i}`, many(10, `round_${i}_`));
  await until(() => scene.supervisor.keys().length === 1, "all have left");
  const fields = Object.values(scene.monitor.totals()).flatMap((data) => Object.keys(data));
  assert.ok(fields.length <= 200 + 100, `${fields.length} fields`);
  assert.ok(scene.supervisor.limitsReached.fields! > 0);
  await bystander.isUnharmed();
});

const NASTY = "\u001b]0;owned\u0007\u009b31m\r\n2026-01-01 INFO all is well\u202e\u007f";
/** What no terminal and no log line may get, but the end of a line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant.
const RAW = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/;

it("control characters of strangers reach neither log lines nor terminals", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const bystander = await Bystander.enter(scene);
  const peers = [dial(scene.socket), dial(scene.socket), dial(scene.socket)] as const;
  for (const peer of peers) scene.atEnd(() => peer.close());
  const field = "jobs_total";
  // Declared in two ways, and beside it a row that is dropped by its name.
  await register(
    peers[0],
    () =>
      wireRows([
        [field, "u64", 0],
        [`${NASTY}x`, "u64", 4096],
      ]),
    { name: NASTY },
  );
  const gauge = wireRows([[field, "u64", 0, { [NASTY]: NASTY, kind: "gauge" }]]);
  await register(peers[1], () => gauge, { name: NASTY });
  const failing = register(
    peers[2],
    () => {
      throw new Error(NASTY);
    },
    { name: NASTY },
  );
  await failing;
  await assert.rejects(peers[0].invoke("supervisor", NASTY));
  await assert.rejects(peers[0].invoke(NASTY, "x"));
  await assert.rejects(peers[0].invoke("supervisor", "[]", [NASTY]));
  const odd = raw(scene);
  odd.send(
    encodeMessage(
      invoke(1, SUPERVISOR, "register", [new ObjectReference(symbol(NASTY))], {
        process_id: NASTY,
        state: symbols({ name: NASTY, [NASTY]: NASTY }),
      }),
    ),
  );
  odd.send(bytes("c1"));
  await until(() => odd.ended, "the odd one is disconnected");

  assert.equal(scene.log.with("is declared in two ways").length, 1);
  assert.ok(scene.log.with("Dropped field").length > 0);
  for (const line of scene.log.lines) assert.doesNotMatch(line, RAW);
  // What is in details is the logger's own business; ours lets nothing through.
  const written: string[] = [];
  const original = console.error;
  console.error = (line: string) => written.push(line);
  try {
    stderrLogger.warn(NASTY, NASTY, { [NASTY]: NASTY }, new Error(NASTY));
  } finally {
    console.error = original;
  }
  assert.equal(written.length, 1);
  assert.doesNotMatch(written[0]!, RAW);
  assert.doesNotMatch(written[0]!, /[\n\u2028\u202e]/);

  for (const options of [[], ["--totals"], ["--by-worker"]]) {
    const status = await runCli(t, ["status", "--socket", scene.socket, ...options]);
    assert.equal(status.code, 0, status.stderr);
    assert.doesNotMatch(status.stdout, RAW, options.join());
    assert.ok(
      JSON.stringify(JSON.parse(status.stdout)).includes(JSON.stringify(NASTY).slice(1, -1)),
    );
  }
  await bystander.isUnharmed();
});
