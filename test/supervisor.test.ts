import assert from "node:assert/strict";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { FrameReader } from "../host/bus/frame_reader.ts";
import {
  ERROR,
  encodeMessage,
  INVOKE,
  type Message,
  RELEASE,
  RETURN,
} from "../host/bus/messages.ts";
import { ObjectReference, RemoteException, RubySymbol, symbol } from "../host/bus/values.ts";
import { Supervisor } from "../host/supervisor.ts";
import { UtilizationMonitor } from "../host/utilization_monitor.ts";
import { connect } from "../host/worker.ts";
import { bytes, type Frame, frames, invoke, result } from "./bus_captures.ts";
import { afterTest } from "./support/after_test.ts";
import { ownFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { SCHEMA, Scene } from "./support/scene.ts";

/** The frames of one recorded connection, without those that Ruby's collector sends by chance. */
function capture(name: string): Frame[] {
  return frames.filter((frame) => frame.capture === name && !/^c7..11/.test(frame.hex));
}

/** What has a different but equal meaning on our side: paths, kinds of monitors, words of errors. */
function comparable(message: Message): unknown {
  if (message.type === INVOKE && message.method === "setup_utilization_observer") {
    const [path, size, offset] = message.arguments;
    assert.equal(typeof path, "string");
    assert.equal(typeof offset, "number");
    return { ...message, arguments: ["path", size, "offset"] };
  }
  if (message.type === ERROR) {
    const { className } = message.exception;
    return { ...message, exception: className };
  }
  if (message.type === RETURN && message.result instanceof ObjectReference) {
    return { ...message, result: "reference" };
  }
  return message;
}

describe("Supervisor, to the recorded frames of real Ruby workers and clients", () => {
  const folder = ownFolder();
  const socket = join(folder, "s.ipc");
  const log = new CollectingLogger();
  let supervisor: Supervisor;

  before(async () => {
    const monitor = new UtilizationMonitor({ path: join(folder, "s.shm"), log, leaseMs: 0 });
    supervisor = await Supervisor.listen({ socket, monitors: [monitor], log });
  });
  after(() => supervisor.close());

  // Ids are given out for the life of a supervisor, so captures run in their recorded order.
  const names = ["04-nil-schema", "05-empty-schema", "06-worker-raises", "07-double-register"];
  for (const [index, name] of [...names, "09-symbol-name", "10-no-name-17-fields"].entries()) {
    it(`answers ${name} as Ruby does`, async () => {
      const peer = RawPeer.connect(socket);
      const expectedId = index + 1;
      for (const { direction, hex } of capture(name)) {
        if (direction === "client to server") {
          peer.send(bytes(hex));
          continue;
        }
        const actual = (await peer.next())!;
        const recorded = decode(hex);
        if (recorded.type === RETURN && recorded.id === 1) {
          assert.deepEqual(actual, { ...recorded, result: expectedId });
        } else {
          assert.deepEqual(comparable(actual), comparable(recorded));
        }
      }
      peer.close();
    });
  }

  it("answers 08-nil-worker without asking the worker anything", async () => {
    const peer = RawPeer.connect(socket);
    for (const { direction, hex } of capture("08-nil-worker")) {
      if (direction === "client to server") peer.send(bytes(hex));
      else assert.equal(((await peer.next()) as { type: number }).type, RETURN);
    }
    peer.close();
  });

  it("serves 01-register, 02-status and 03-multihop together", async () => {
    const [worker, client] = [RawPeer.connect(socket), RawPeer.connect(socket)];
    const [register, , schema] = capture("01-register").map(({ hex }) => bytes(hex));
    worker.send(register!);
    const setup = (await worker.next()) as Message & { type: typeof INVOKE };
    assert.equal(setup.method, "setup_utilization_observer");
    assert.deepEqual(setup.object, symbol("worker"));
    worker.send(schema!);
    const registered = (await worker.next()) as Message & { type: typeof RETURN };
    const id = registered.result as number;

    // A service "web" with the recorded fields; nobody has written into the segment.
    for (const { direction, hex } of capture("02-status")) {
      if (direction === "client to server") {
        client.send(bytes(hex));
        continue;
      }
      const actual = (await client.next())!;
      const recorded = decode(hex);
      if (actual.type !== RETURN || recorded.type !== RETURN) {
        assert.deepEqual(comparable(actual), comparable(recorded));
      } else if (actual.id === 1) {
        const [status] = actual.result as [{ type: string; data: Record<string, object> }];
        assert.equal(status.type, "utilization_monitor");
        const [expected] = recorded.result as [{ data: Record<string, object> }];
        assert.deepEqual(Object.keys(status.data), ["web"]);
        assert.deepEqual(Object.keys(status.data.web!), Object.keys(expected.data.web!));
        assert.equal((status.data.web as { worker_count: number }).worker_count, 1);
      } else {
        assert.deepEqual(actual, { ...recorded, result: [id] });
      }
    }

    // supervisor[id] answers with an object; calls to it arrive at the worker as public_send.
    client.send(encodeMessage(invoke(101, symbol("supervisor"), "[]", [id])));
    const { result: reference } = (await client.next()) as { result: ObjectReference } & Message;
    client.send(encodeMessage(invoke(103, reference.name, "garbage_profile_start")));
    const forwarded = (await worker.next()) as Message & { type: typeof INVOKE };
    assert.deepEqual(
      { ...forwarded, id: 0 },
      { ...decode(capture("01-register").at(-2)!.hex), id: 0 },
    );
    worker.send(
      encodeMessage({
        type: RETURN,
        id: forwarded.id,
        result: new Map([[symbol("started"), true]]),
      }),
    );
    const answer = (await client.next()) as Message & { type: typeof RETURN };
    assert.deepEqual({ ...(answer.result as object) }, { started: true });
    // The same object has the same name; after a release it is gone.
    client.send(encodeMessage(invoke(105, symbol("supervisor"), "[]", [id])));
    assert.deepEqual(((await client.next()) as { result?: unknown }).result, reference);
    client.send(encodeMessage({ type: RELEASE, object: reference.name }));
    client.send(encodeMessage(invoke(107, reference.name, "garbage_profile_start")));
    assert.equal(exceptionOf(await client.next()).className, "NameError");
    worker.close();
    client.close();
  });

  it("forwards no method that could run code", async () => {
    const [worker, client] = [RawPeer.connect(socket), RawPeer.connect(socket)];
    const [register, , schema] = capture("01-register").map(({ hex }) => bytes(hex));
    worker.send(register!);
    await worker.next();
    worker.send(schema!);
    const { result: id } = (await worker.next()) as Message & { result: number };
    client.send(encodeMessage(invoke(1, symbol("supervisor"), "[]", [id])));
    const { result: reference } = (await client.next()) as { result: ObjectReference } & Message;
    for (const method of [
      "instance_eval",
      "public_send",
      "send",
      "exit!",
      "setup_utilization_observer",
    ]) {
      client.send(encodeMessage(invoke(3, reference.name, method, ["exit!"])));
      assert.equal(exceptionOf(await client.next()).className, "NoMethodError", method);
    }
    worker.close();
    client.close();
  });

  it("answers wrong arguments to register with Ruby's classes", async () => {
    const client = RawPeer.connect(socket);
    const register = async (positional: unknown[], options: Record<string, unknown>) => {
      client.send(encodeMessage(invoke(1, symbol("supervisor"), "register", positional, options)));
      return exceptionOf(await client.next()).className;
    };
    assert.equal(await register([null], {}), "ArgumentError");
    assert.equal(await register([7], { process_id: 1 }), "TypeError");
    assert.equal(await register([null], { process_id: 1, state: [1] }), "TypeError");
    assert.deepEqual(supervisor.keys().length, 0);
    client.close();
  });

  it("gives status_json with all digits, totals and workers", async () => {
    const client = RawPeer.connect(socket);
    const options = { totals: true, by_worker: true };
    client.send(encodeMessage(invoke(1, symbol("supervisor"), "status_json", [], options)));
    const { result: text } = (await client.next()) as Message & { result: string };
    const [status] = JSON.parse(text);
    assert.deepEqual(Object.keys(status), ["type", "data", "stalled", "totals", "workers"]);
    client.send(encodeMessage(invoke(3, symbol("supervisor"), "status_json")));
    const { result: short } = (await client.next()) as Message & { result: string };
    assert.deepEqual(Object.keys(JSON.parse(short)[0]), ["type", "data", "stalled"]);
    client.close();
  });
});

describe("Supervisor with several monitors", () => {
  const folder = ownFolder();

  it("tells what one cannot say, and asks the others", async (t) => {
    const log = new CollectingLogger();
    const socket = join(folder, "s.ipc");
    const broken = {
      register() {
        throw new Error("no");
      },
      remove() {},
      status(): never {
        throw new RangeError("out of range");
      },
    };
    const monitor = new UtilizationMonitor({ path: join(folder, "s.shm"), log });
    const supervisor = await Supervisor.listen({ socket, monitors: [broken, monitor], log });
    afterTest(t, () => supervisor.close());
    const worker = RawPeer.connect(socket);
    const [register, , schema] = capture("01-register").map(({ hex }) => bytes(hex));
    worker.send(register!);
    assert.equal((await worker.next())!.type, INVOKE, "the second monitor goes on");
    worker.send(schema!);
    await worker.next();

    worker.send(encodeMessage(invoke(3, symbol("supervisor"), "status")));
    const { result: list } = (await worker.next()) as Message & { result: unknown[] };
    assert.deepEqual(list[0], new RemoteException("RangeError", "out of range", []));
    assert.deepEqual(Object.keys((list[1] as { data: object }).data), ["web"]);
    assert.match(supervisor.statusText(), /^\[\{"error":"RangeError: out of range"\},\{"type":/);
    worker.close();
  });
});

describe("Supervisor.env", () => {
  it("is all that a child needs to find it", async (t) => {
    const scene = await Scene.supervised(t);
    assert.deepEqual(scene.supervisor.env, { UTILIZATION_SUPERVISOR: scene.socket });
    const child = scene.child("worker_process", scene.supervisor.env);
    await child.ask("open", { name: "web", schema: SCHEMA });
    await scene.sees(child);
  });
});

describe("Worker, to the recorded frames of a real Ruby supervisor", () => {
  const folder = ownFolder();

  it("registers as a Ruby worker does, and answers setup with its schema", async () => {
    const socket = join(folder, "r.ipc");
    const accepted = withResolvers<RawPeer>();
    const server = createServer((peer) => accepted.resolve(new RawPeer(peer)));
    await new Promise<void>((done) => server.listen(socket, done));
    const monitor = new UtilizationMonitor({
      path: join(folder, "r.shm"),
      log: new CollectingLogger(),
    });
    await monitor.open();
    const log = new CollectingLogger();
    const schema = { connections_active: "u32", connections_total: "u64" } as const;
    const worker = connect({ name: "web", schema, socket, log });
    worker.metrics.connections_total.increment(5);
    try {
      const peer = await accepted.promise;
      const [recordedRegister, recordedSetup] = capture("01-register").map(({ hex }) =>
        decode(hex),
      );
      const register = (await peer.next()) as Message & { type: typeof INVOKE };
      const { process_id: processId, state } = register.options as Record<string, unknown>;
      assert.equal(processId, process.pid);
      assert.equal((state as { name: string }).name, "web");
      assert.deepEqual(
        { ...register, options: 0 },
        { ...recordedRegister, options: 0 },
        "but for pid and state",
      );

      const setup = recordedSetup as Message & { type: typeof INVOKE };
      const place = [monitor.path, 512, 1024];
      peer.send(encodeMessage({ ...setup, arguments: place }));
      const answer = (await peer.next()) as Message & { type: typeof RETURN };
      assert.equal(answer.id, setup.id);
      assert.deepEqual(answer.result, [
        [new RubySymbol("connections_active"), new RubySymbol("u32"), 0],
        [new RubySymbol("connections_total"), new RubySymbol("u64"), 8],
      ]);
      const segment = new DataView(new ArrayBuffer(512));
      monitor.allocator!.file.read(new Uint8Array(segment.buffer), 1024);
      assert.equal(segment.getBigUint64(8, true), 5n, "values are there before the answer");

      // The supervisor's collector may release what it likes.
      peer.send(bytes(frames.find(({ hex }) => hex === "c70d11c70a2073757065727669736f72")!.hex));
      peer.send(encodeMessage(result(1, 1)));
      peer.send(encodeMessage(invoke(4, symbol("worker"), "public_send", [symbol("exit!")])));
      assert.equal(exceptionOf(await peer.next()).className, "NoMethodError");
      assert.equal(worker.id, 1);
      assert.equal(log.lines.length, 1);

      // Told again on the same connection, it moves.
      peer.send(encodeMessage({ ...setup, id: 6, arguments: [monitor.path, 512, 512] }));
      assert.equal(((await peer.next()) as { id: number }).id, 6);
      worker.metrics.connections_total.increment();
      monitor.allocator!.file.read(new Uint8Array(segment.buffer), 512);
      if (worker.mapping !== "none") assert.equal(segment.getBigUint64(8, true), 6n);
      peer.close();
    } finally {
      await worker.close();
      await monitor.close();
      server.close();
    }
  });
});

function decode(hex: string): Message {
  return decodeFrame(bytes(hex));
}

function decodeFrame(frame: Uint8Array): Message {
  const [message] = [...new FrameReader().read(frame)];
  return message!;
}

function exceptionOf(message: Message | null): RemoteException {
  assert.equal(message?.type, ERROR);
  return (message as Message & { type: typeof ERROR }).exception;
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

describe("Supervisor, asked by one client again and again", () => {
  const folder = ownFolder();

  it("makes the status once for all calls that come at once", async (t) => {
    let count = 0;
    class CountingMonitor extends UtilizationMonitor {
      override statusText(...options: Parameters<UtilizationMonitor["statusText"]>): string {
        count++;
        return super.statusText(...options);
      }
    }
    const log = new CollectingLogger();
    const monitor = new CountingMonitor({ path: join(folder, "b.shm"), log });
    const socket = join(folder, "b.ipc");
    const supervisor = await Supervisor.listen({ socket, monitors: [monitor], log });
    afterTest(t, () => supervisor.close());
    const client = RawPeer.connect(socket);
    const calls = Array.from({ length: 200 }, (_call, index) =>
      encodeMessage(invoke(index * 2 + 1, symbol("supervisor"), "status_json")),
    );
    client.send(Buffer.concat(calls));
    const texts = new Set<unknown>();
    for (let i = 0; i < 200; i++) {
      texts.add(((await client.next()) as Message & { result: unknown }).result);
    }
    assert.equal(texts.size, 1);
    // The socket may hand them over in a few pieces.
    assert.ok(count < 20, `${count} times`);
    client.send(encodeMessage(invoke(401, symbol("supervisor"), "status_json")));
    await client.next();
    assert.ok(count > 1, "a later call gets a later status");
    client.close();
  });

  it("refuses a state that is longer than it would keep", async (t) => {
    const log = new CollectingLogger();
    const socket = join(folder, "c.ipc");
    const supervisor = await Supervisor.listen({ socket, monitors: [], log });
    afterTest(t, () => supervisor.close());
    const client = RawPeer.connect(socket);
    const state = { name: "web", notes: "x".repeat(70_000) };
    const options = { process_id: 1, state };
    client.send(encodeMessage(invoke(1, symbol("supervisor"), "register", [null], options)));
    const answer = (await client.next()) as Message & { exception: RemoteException };
    assert.match(answer.exception.message, /state must be at most 65536 characters/);
    client.close();
  });
});
