// Clients that break the protocol, or that want more than they may have: they are disconnected
// with one log line, and nobody else notices.
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { it } from "node:test";
import { encodeMessage } from "../host/bus/messages.ts";
import { ObjectReference, plain, symbol } from "../host/bus/values.ts";
import { bytes, invoke, symbols } from "./bus_captures.ts";
import { Bystander } from "./support/bystander.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { dial, register, wireRows } from "./support/ruby_worker.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };
const SUPERVISOR = symbol("supervisor");

/** A hex frame of an extension of 255 bytes at most. */
function frame(type: number, payload: string): string {
  const body = payload.replaceAll(" ", "");
  return `c7 ${hexByte(body.length / 2)} ${hexByte(type)} ${body}`;
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, "0");
}

/** `supervisor.keys` with these bytes as its one positional argument. */
function withArgument(hex: string): string {
  return frame(0, `01 c70a20 73757065727669736f72 02 d620 6b657973 ${hex} 00 c2`);
}

const BROKEN: readonly (readonly [string, string, RegExp])[] = [
  ["2^32-1 arguments in 13 bytes", "c7 0a 00 01 d5 20 61 62 ce ff ff ff ff", /values/],
  ["the byte that MessagePack never uses", "c1", /byte 0xc1/],
  ["a value that is no frame", "93 01 02 03", /byte 0x93/],
  ["text", "47 45 54 20 2f", /byte 0x47/],
  ["an unknown message type", "d4 7f 00", /unknown type 127/],
  ["a negative message type", "d4 ff 00", /unknown type 255/],
  ["an unknown extension inside", withArgument("d4 7f 00"), /unknown type 127/],
  ["a timestamp", withArgument("d6 ff 00 00 00 00"), /unknown type 255/],
  ["a frame of 2 MiB", "c9 00 20 00 00 00", /2097152 bytes: limit is 1048576/],
  ["200 nested arrays", withArgument(`${"91".repeat(200)} 01`), /nested|levels/],
  ["an array of 2^32-1", withArgument("dd ff ff ff ff"), /4294967295 values/],
  ["a map of 2^32-1", withArgument("df ff ff ff ff"), /8589934590 values/],
  ["a string of 2^32-1", withArgument("db ff ff ff ff"), /4294967295 bytes/],
  ["a map with __proto__", withArgument("81 a9 5f5f70726f746f5f5f 01"), /__proto__/],
  ["too few values", frame(0, "01"), /values wanted/],
  ["too many values", frame(1, "01 01 01"), /too many/],
  ["an id that is text", frame(1, "a1 61 01"), /unsigned integer/],
  ["an empty frame", "c7 00 00", /values wanted/],
];

/** They reach limits that others have reached just before. */
const TOO_MUCH_AGAIN: readonly (readonly [string, string])[] = [
  ["a frame of 4 GiB", "c9 ff ff ff ff 00"],
  ["100 nested maps", withArgument(`${"8101".repeat(90)} 01`)],
];

it("broken frames end their connection with one line", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const bystander = await Bystander.enter(scene);
  for (const [what, hex, reason] of BROKEN) {
    const before = scene.log.entries.length;
    const peer = RawPeer.connect(scene.socket);
    scene.atEnd(() => peer.close());
    peer.send(bytes(hex));
    assert.equal(await peer.next(), null, what);
    const lines = scene.log.entries.slice(before);
    assert.equal(lines.length, 1, `${what}: ${lines.join("; ")}`);
    assert.match(lines[0]!, /^warn Disconnected peer: /, what);
    assert.match(lines[0]!, reason, what);
  }
  const { frameSize, nesting } = scene.supervisor.limitsReached;
  const before = scene.log.entries.length;
  for (const [what, hex] of TOO_MUCH_AGAIN) {
    const peer = RawPeer.connect(scene.socket);
    scene.atEnd(() => peer.close());
    peer.send(bytes(hex));
    assert.equal(await peer.next(), null, what);
  }
  assert.deepEqual(scene.log.entries.slice(before), [], "a limit is said once");
  const counts = scene.supervisor.limitsReached;
  assert.deepEqual([counts.frameSize, counts.nesting], [frameSize! + 1, nesting! + 1]);
  await bystander.isUnharmed();
});

it("a registered worker that breaks the protocol loses its connection alone", LIMIT, async (t) => {
  const scene = await Scene.supervised(t, { leaseMs: 50 });
  const bystander = await Bystander.enter(scene);
  const free = scene.freeCount;
  const peer = RawPeer.connect(scene.socket);
  scene.atEnd(() => peer.close());
  const options = { process_id: null, state: symbols({ name: "odd" }) };
  const worker = new ObjectReference(symbol("worker"));
  peer.send(encodeMessage(invoke(1, SUPERVISOR, "register", [worker], options)));
  const setup = await peer.next();
  assert.equal(setup !== null && "method" in setup && setup.method, "setup_utilization_observer");
  assert.equal(scene.freeCount, free - 1);
  peer.send(bytes("c1"));
  assert.equal(await peer.next(), null);
  await until(() => scene.freeCount === free, "its segment is free");
  assert.equal(scene.log.with("Disconnected worker 2").length, 1);
  await bystander.isUnharmed();
});

const METHODS = [
  "instance_eval",
  "instance_exec",
  "eval",
  "send",
  "__send__",
  "public_send",
  "method",
  "exit!",
  "constructor",
  "__proto__",
  "__defineGetter__",
  "hasOwnProperty",
  "toString",
  "valueOf",
  "then",
  "close",
  "restart",
  "add",
  "remove",
  "",
];

it("only methods on the list can be called", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const bystander = await Bystander.enter(scene);
  const client = dial(scene.socket);
  scene.atEnd(() => client.close());
  for (const method of METHODS) {
    const call = client.invoke("supervisor", method, ["process.exit(1)"]);
    await assert.rejects(call, { className: "NoMethodError" }, method);
  }
  for (const name of ["constructor", "__proto__", "worker", "Kernel"]) {
    await assert.rejects(client.invoke(name, "status"), { className: "NameError" }, name);
  }
  // A worker can be asked what Ruby's workers offer, and nothing else.
  const worker = (await client.invoke("supervisor", "[]", [1])) as ObjectReference;
  for (const method of [...METHODS, "setup_utilization_observer", "register"]) {
    const call = client.invoke(worker, method, ["process.exit(1)"]);
    await assert.rejects(call, { className: "NoMethodError" }, method);
  }
  for (const id of [2, -1, 1.5, "1", null, [1], { a: 1 }]) {
    const call = client.invoke("supervisor", "[]", [id]);
    await assert.rejects(call, { className: "ArgumentError" }, JSON.stringify(id));
  }
  // The client has done nothing that would cost it its connection.
  assert.deepEqual(await client.invoke("supervisor", "keys"), [1]);
  await bystander.isUnharmed();
});

it("our worker answers nothing but what it offers", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const worker = await scene.registered();
  const client = dial(scene.socket);
  scene.atEnd(() => client.close());
  const proxy = (await client.invoke("supervisor", "[]", [1])) as ObjectReference;
  await assert.rejects(client.invoke(proxy, "memory_dump"), { className: "NoMethodError" });
  await worker.ask("add", { by: 1 });
  assert.equal(scene.total("web"), 1n);
});

it("a client that never reads is disconnected, and others are served", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const bystander = await Bystander.enter(scene);
  // A status of some kilobytes.
  const wide = dial(scene.socket);
  scene.atEnd(() => wide.close());
  const fields = Array.from({ length: 60 }, (_, i) => `${"n".repeat(200)}${i}`);
  await register(wide, () => wireRows(fields.map((name, i) => [name, "u64", 8 * i] as const)));

  const deaf = connect(scene.socket).pause();
  scene.atEnd(() => deaf.destroy());
  let closed = false;
  deaf.on("close", () => {
    closed = true;
  });
  deaf.on("error", () => {});
  const status = encodeMessage(invoke(1, SUPERVISOR, "status"));
  const before = process.memoryUsage().rss;
  await until(async () => {
    for (let i = 0; i < 50 && !closed; i++) deaf.write(status);
    const client = dial(scene.socket);
    await client.invoke("supervisor", "keys");
    client.close();
    return closed || scene.log.with("unsent bytes").length > 0;
  }, "it is disconnected");
  assert.equal(scene.log.with("Disconnected peer: would exceed 1048576 unsent bytes").length, 1);
  assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024);
  await bystander.isUnharmed();
});

it("a worker that never reads stays registered, and loses its answers only", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const worker = await scene.registered({ name: "bystander" });
  const peer = RawPeer.connect(scene.socket);
  scene.atEnd(() => peer.close());
  const reference = new ObjectReference(symbol("worker"));
  const options = { process_id: null, state: symbols({ name: "deaf" }) };
  peer.send(encodeMessage(invoke(1, SUPERVISOR, "register", [reference], options)));
  const setup = await peer.next();
  const rows = wireRows([["deaf_total", "u64", 0]]);
  peer.send(encodeMessage({ type: 1, id: (setup as { id: number }).id, result: rows }));
  await peer.next();
  peer.socket.pause();
  const padding = "x".repeat(60_000);
  const call = encodeMessage(invoke(3, SUPERVISOR, "[]", [padding, padding]));
  for (let i = 0; i < 40; i++) peer.send(call);
  const status = encodeMessage(invoke(5, SUPERVISOR, "status_json", [], { by_worker: true }));
  // More answers than a socket's buffers and the limit can hold.
  await until(() => {
    for (let i = 0; i < 200; i++) peer.send(status);
    return scene.log.with("Dropped an answer that worker 2 does not read").length > 0;
  }, "answers to it are dropped");
  assert.equal(peer.ended, false);
  assert.equal(scene.monitor.sample().deaf?.worker_count, 1);
  await worker.ask("add", { by: 1 });
  assert.equal(scene.monitor.sample().bystander?.requests_total, 1);
});

it("more calls at once than a supervisor serves end the connection", LIMIT, async (t) => {
  const scene = await Scene.supervised(t, { leaseMs: 50 });
  const bystander = await Bystander.enter(scene);
  const silent = dial(scene.socket);
  const client = dial(scene.socket);
  scene.atEnd(() => silent.close());
  scene.atEnd(() => client.close());
  silent.bind("worker", { public_send: () => new Promise(() => {}) });
  const options = { process_id: null };
  const reference = new ObjectReference(symbol("worker"));
  const registering = silent.invoke("supervisor", "register", [reference], { options });
  assert.equal(await registering, 2);
  const proxy = (await client.invoke("supervisor", "[]", [2])) as ObjectReference;
  const calls = Array.from({ length: 300 }, () => client.invoke(proxy, "thread_dump"));
  const results = await Promise.allSettled(calls);
  assert.ok(results.every(({ status }) => status === "rejected"));
  assert.equal(scene.log.with("Disconnected peer: more than 256 calls at once").length, 1);
  await bystander.isUnharmed();
});

it("half-closed clients hold up nobody", LIMIT, async (t) => {
  const scene = await Scene.supervised(t, { leaseMs: 50 });
  const bystander = await Bystander.enter(scene);
  const free = scene.freeCount;
  // One registration is under way, and will be for as long as its worker likes.
  const slow = dial(scene.socket);
  scene.atEnd(() => slow.close());
  let answer: (rows: unknown) => void = () => {};
  let asked = false;
  const registering = register(slow, () => {
    asked = true;
    return new Promise((resolve) => {
      answer = resolve;
    });
  });
  await until(() => asked, "the slow worker is asked");

  // The other one registers, and ends its own side at once.
  const half: Socket = connect({ path: scene.socket, allowHalfOpen: true });
  scene.atEnd(() => half.destroy());
  const reference = new ObjectReference(symbol("worker"));
  const options = { process_id: null, state: symbols({ name: "half" }) };
  half.end(encodeMessage(invoke(1, SUPERVISOR, "register", [reference], options)));
  await new Promise((resolve) => half.resume().on("close", resolve));
  await until(() => scene.freeCount === free - 1, "its segment is free");
  const client = dial(scene.socket);
  const status = plain(await client.invoke("supervisor", "status")) as { data: object }[];
  assert.deepEqual(Object.keys(status[0]!.data), ["bystander"]);
  client.close();
  await bystander.isUnharmed();

  answer(wireRows([["slow_total", "u64", 0]]));
  assert.equal(await registering, 2);
  assert.equal(scene.monitor.sample().odd?.worker_count, 1);
  slow.close();
  await until(() => scene.freeCount === free, "all segments are free");
});

it("releases of anything, and answers to nothing, are ignored", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const bystander = await Bystander.enter(scene);
  const peer = RawPeer.connect(scene.socket);
  scene.atEnd(() => peer.close());
  for (const hex of [
    frame(0x11, "c70a20 73757065727669736f72"),
    frame(0x11, "cd 03 5c"),
    frame(1, "02 c0"),
    frame(3, "63 c7 04 21 a1 41 a0 90"),
    frame(4, "02 c0"),
    frame(6, "02 c0"),
    frame(5, "02 92 01 02"),
    frame(2, "02 90"),
  ]) {
    peer.send(bytes(hex));
  }
  peer.send(encodeMessage(invoke(1, SUPERVISOR, "keys")));
  assert.deepEqual(await peer.next(), { type: 1, id: 1, result: [1] });
  assert.equal(scene.log.with("Disconnected").length, 0);
  await bystander.isUnharmed();
});
