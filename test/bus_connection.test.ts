import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "../host/bus/connection.ts";
import { CallError, RemoteError } from "../host/bus/errors.ts";
import { FrameReader } from "../host/bus/frame_reader.ts";
import type { ConnectionLimits } from "../host/bus/limits.ts";
import { encodeMessage, type Message } from "../host/bus/messages.ts";
import { ObjectReference, plain, RemoteException, symbol } from "../host/bus/values.ts";
import type { Logger } from "../host/log.ts";
import {
  bytes,
  failure,
  frames,
  invoke,
  messages,
  next,
  receivedMessage,
  release,
  result,
  symbols,
  thrown,
  yielded,
} from "./bus_captures.ts";

/** A promise with its handles. */
class Deferred<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  constructor() {
    this.promise = new Promise((resolve) => {
      this.resolve = resolve;
    });
  }
}

/** The accepting end under test, and what it reported. */
class Accepted {
  readonly lines: string[] = [];
  readonly reasons: string[] = [];
  readonly ended = new Deferred<string>();
  readonly connection: Connection;
  readonly socket: Duplex;

  constructor(socket: Duplex, limits: ConnectionLimits = {}) {
    const line = (message: string) => this.lines.push(message);
    const log: Logger = { debug: () => {}, info: line, warn: line, error: line };
    const onClose = (reason: string) => {
      this.reasons.push(reason);
      this.ended.resolve(reason);
    };
    this.socket = socket;
    this.connection = new Connection({ socket, accepting: true, log, limits, onClose });
  }
}

/** A peer that says exactly what it is told to, right or wrong. */
class RawPeer {
  readonly socket: Socket;
  readonly #messages: Message[] = [];
  #arrival = new Deferred<void>();

  constructor(socket: Socket, reads = true) {
    this.socket = socket;
    socket.on("error", () => {});
    const reader = new FrameReader();
    if (!reads) return;
    socket.on("data", (chunk: Uint8Array) => {
      this.#messages.push(...reader.read(chunk));
      this.#arrival.resolve();
      this.#arrival = new Deferred();
    });
  }

  send(...said: Message[]): void {
    for (const message of said) this.socket.write(encodeMessage(message));
  }

  async next(): Promise<Message> {
    while (this.#messages.length === 0) await this.#arrival.promise;
    return this.#messages.shift()!;
  }

  async ask(message: Message): Promise<Message> {
    this.send(message);
    return await this.next();
  }
}

let folder: string;
let server: Server;
let limits: ConnectionLimits;
let accepted: Deferred<Accepted>;
const sockets: Duplex[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "bus-"));
  // Half-open, the harder case: nothing ends our side for us.
  server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    accepted.resolve(new Accepted(socket, limits));
  });
  server.listen(join(folder, "bus.ipc"));
  await once(server, "listening");
});

after(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

beforeEach(() => {
  limits = {};
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function dial(): Promise<[Socket, Accepted]> {
  accepted = new Deferred();
  const socket = connect(join(folder, "bus.ipc"));
  sockets.push(socket);
  return [socket, await accepted.promise];
}

/** A raw peer and the connection that it talks to. */
async function raw(reads = true): Promise<[RawPeer, Accepted]> {
  const [socket, end] = await dial();
  return [new RawPeer(socket, reads), end];
}

/** Both ends are ours. */
async function pair(): Promise<[Connection, Accepted]> {
  const [socket, end] = await dial();
  return [new Connection({ socket, accepting: false, log: console }), end];
}

const supervisor = symbol("supervisor");

function callError(reason: string, message: RegExp): (error: unknown) => true {
  return (error) => {
    assert(error instanceof CallError);
    assert.equal(error.reason, reason);
    assert.match(error.message, message);
    return true;
  };
}

function remoteError(className: string, message: string): (error: unknown) => true {
  return (error) => {
    assert(error instanceof RemoteError);
    assert.deepEqual([error.className, error.message], [className, message]);
    return true;
  };
}

describe("Connection", () => {
  it("serves and calls, in both directions at once", async () => {
    const [client, { connection }] = await pair();
    client.bind("worker", { double: async ([value]) => (value as number) * 2 });
    connection.bind("supervisor", {
      quadruple: async ([value]) => {
        const double = (await connection.invoke("worker", "double", [value])) as number;
        return await connection.invoke("worker", "double", [double]);
      },
    });
    const calls = Array.from({ length: 50 }, (_, n) =>
      client.invoke("supervisor", "quadruple", [n]),
    );
    assert.deepEqual(
      await Promise.all(calls),
      calls.map((_, n) => n * 4),
    );
  });

  it("passes arguments, options and references", async () => {
    const [client, { connection }] = await pair();
    const worker = client.bind("worker", { name: () => "me" });
    connection.bind("supervisor", {
      register: async (positional, options, context) => {
        assert.equal(context.connection, connection);
        assert.equal(context.method, "register");
        const [holder, ...others] = positional;
        assert(holder instanceof ObjectReference);
        return [await connection.invoke(holder, "name"), others, options];
      },
    });
    const options = { state: symbols({ name: "web" }), process_id: 7 };
    const answer = await client.invoke("supervisor", "register", [worker, 1, null], { options });
    assert.deepEqual(JSON.parse(JSON.stringify(answer)), [
      "me",
      [1, null],
      { state: { name: "web" }, process_id: 7 },
    ]);
  });

  it("plays the supervisor of the recorded registration, byte by byte", async () => {
    const [peer, { connection, lines }] = await raw();
    const recorded = frames.slice(0, 5).map(({ hex }) => bytes(hex));
    connection.bind("supervisor", {
      register: async ([holder], { process_id, state }) => {
        assert.equal(process_id, 3375);
        assert.deepEqual(plain(state), { __proto__: null, name: "web" });
        const reference = holder as ObjectReference;
        const setup = ["run/u.shm", 512, 0];
        const schema = await connection.invoke(reference, "setup_utilization_observer", setup);
        assert.deepEqual((schema as unknown[]).length, 4);
        return 1;
      },
    });
    const heard: number[] = [];
    peer.socket.on("data", (chunk: Uint8Array) => heard.push(...chunk));
    for (const byte of recorded[0]!) peer.socket.write(Uint8Array.of(byte));
    await peer.next();
    peer.socket.write(recorded[2]!);
    await peer.next();
    assert.deepEqual(heard, [...recorded[1]!, ...recorded[4]!]);
    assert.deepEqual(lines, []);
  });

  it("plays the worker of the recorded registration", async () => {
    const server = createServer();
    server.listen(join(folder, "recorded.ipc"));
    const [[socket]] = await Promise.all([
      once(server, "connection"),
      once(sockets[sockets.push(connect(join(folder, "recorded.ipc"))) - 1]!, "connect"),
    ]);
    const client = sockets.at(-1)!;
    sockets.push(socket);
    server.close();
    const ruby = new RawPeer(socket);
    const connection = new Connection({ socket: client, accepting: false, log: console });
    const worker = connection.bind("worker", {
      setup_utilization_observer: (positional) => {
        assert.deepEqual(positional, ["run/u.shm", 512, 0]);
        return [[symbol("requests_total"), symbol("u64"), 0]];
      },
      public_send: ([method]) =>
        symbols({ [plain(method) === "garbage_profile_start" ? "started" : ""]: true }),
    });
    const options = { process_id: 3375, state: symbols({ name: "web" }) };
    const registered = connection.invoke("supervisor", "register", [worker], { options });
    assert.deepEqual(await ruby.next(), receivedMessage(messages[0]!));
    const schema = await ruby.ask(messages[1]!);
    assert.deepEqual(schema, result(2, [[symbol("requests_total"), symbol("u64"), 0]]));
    ruby.send(messages[3]!, messages[4]!);
    assert.equal(await registered, 1);
    assert.deepEqual(await ruby.ask(messages[5]!), receivedMessage(messages[6]!));
  });

  it("uses odd ids where it connects, even ones where it accepts", async () => {
    const [peer, { connection }] = await raw();
    for (const id of [2, 4, 6]) {
      const call = connection.invoke("worker", "ping");
      assert.deepEqual(await peer.next(), receivedMessage(invoke(id, symbol("worker"), "ping")));
      peer.send(result(id, id));
      assert.equal(await call, id);
    }
  });

  it("matches answers by id, in any order", async () => {
    const [peer, { connection }] = await raw();
    const calls = ["a", "b", "c"].map((method) => connection.invoke("worker", method));
    for (const _ of calls) await peer.next();
    peer.send(result(6, "third"), failure(4, "IOError", "second"), result(2, "first"));
    assert.equal(await calls[0], "first");
    await assert.rejects(calls[1]!, remoteError("IOError", "second"));
    assert.equal(await calls[2], "third");
  });
});

describe("Connection, as an object", () => {
  it("answers calls of unknown methods, whatever their name", async () => {
    const [peer, { connection }] = await raw();
    connection.bind("supervisor", { status: () => [] });
    const names = [
      "nope",
      "constructor",
      "__proto__",
      "toString",
      "hasOwnProperty",
      "instance_eval",
    ];
    for (const name of names) {
      assert.deepEqual(
        await peer.ask(invoke(1, supervisor, name, ["exit!"])),
        failure(1, "NoMethodError", `undefined method \`${name}' for an instance of supervisor`),
      );
    }
    assert.deepEqual(await peer.ask(invoke(3, supervisor, "status")), result(3, []));
  });

  it("answers calls of unknown objects, whatever their name", async () => {
    const [peer, { connection }] = await raw();
    connection.bind("supervisor", { status: () => [] });
    const objects = [symbol("nope"), symbol("__proto__"), symbol("constructor"), "supervisor", 860];
    for (const object of objects) {
      const name = String(typeof object === "object" ? object.name : object);
      assert.deepEqual(
        await peer.ask(invoke(9, object, "status")),
        failure(9, "NameError", `Object not found: ${name}`, null),
      );
    }
  });

  it("tells of errors by core classes and message only", async () => {
    const [peer, { connection }] = await raw();
    const errors: [unknown, string, string][] = [
      [new Error("a"), "RuntimeError", "a"],
      [new TypeError("b"), "TypeError", "b"],
      [new RangeError("c"), "RangeError", "c"],
      [new RemoteError("Already registered"), "RuntimeError", "Already registered"],
      [new RemoteError("d", "ArgumentError"), "ArgumentError", "d"],
      [new RemoteError("e", "My::Error"), "RuntimeError", "My::Error: e"],
      [new RemoteError("f", null), "RuntimeError", "null: f"],
      ["g", "RuntimeError", "g"],
      [{ message: "h" }, "RuntimeError", "Unknown error"],
      [undefined, "RuntimeError", "Unknown error"],
    ];
    connection.bind("supervisor", {
      thrown: ([index]) => {
        throw errors[index as number]![0];
      },
      rejected: async ([index]) => {
        throw errors[index as number]![0];
      },
    });
    for (const [index, [, className, message]] of errors.entries()) {
      for (const method of ["thrown", "rejected"]) {
        const answer = await peer.ask(invoke(1, supervisor, method, [index]));
        assert.deepEqual(answer, failure(1, className, message));
      }
    }
  });

  it("tells of results that cannot be sent", async () => {
    limits = { sentFrameSize: 1024 * 1024 };
    const [peer, { connection }] = await raw();
    const circle: unknown[] = [];
    circle.push(circle);
    connection.bind("supervisor", {
      date: () => new Date(0),
      circle: async () => circle,
      long: () => "x".repeat(1024 * 1024),
      longError: () => {
        throw new Error("x".repeat(2 * 1024 * 1024));
      },
    });
    const classOf = async (method: string) => {
      const answer = await peer.ask(invoke(1, supervisor, method));
      return "exception" in answer ? answer.exception.className : null;
    };
    assert.equal(await classOf("date"), "TypeError");
    assert.equal(await classOf("circle"), "RangeError");
    assert.equal(await classOf("long"), "RangeError");
    assert.equal(await classOf("longError"), "RangeError");
  });

  it("serves a call with a block like one without", async () => {
    const [peer, { connection }] = await raw();
    connection.bind("supervisor", { keys: () => [1] });
    assert.deepEqual(await peer.ask(invoke(1, supervisor, "keys", [], {}, true)), result(1, [1]));
  });

  it("lends objects without a name until they are released", async () => {
    const [peer, { connection }] = await raw();
    const forward = ([value]: readonly unknown[], _: unknown, { method }: { method: string }) => [
      method,
      value,
    ];
    connection.bind("supervisor", { "[]": () => connection.bindTemporary(forward) });
    const name = async () => {
      const answer = (await peer.ask(invoke(1, supervisor, "[]", [1]))) as { result: unknown };
      const reference = answer.result as ObjectReference;
      assert(reference instanceof ObjectReference);
      return reference.name as number;
    };
    const first = await name();
    assert.equal(await name(), first);
    assert.deepEqual(await peer.ask(invoke(3, first, "anything", [5])), result(3, ["anything", 5]));

    // Ruby releases names that it must not, and some that do not exist.
    peer.send(release(supervisor), release(symbol("nope")), release(99), release("supervisor"));
    assert.equal(await name(), first);

    peer.send(release(first));
    assert.deepEqual(
      await peer.ask(invoke(5, first, "anything")),
      failure(5, "NameError", `Object not found: ${first}`, null),
    );
    assert.notEqual(await name(), first);
  });

  it("lends only so many", async () => {
    limits = { temporaries: 2 };
    const [peer, { connection }] = await raw();
    connection.bind("supervisor", { "[]": () => connection.bindTemporary(() => null) });
    assert.deepEqual(
      await peer.ask(invoke(1, supervisor, "[]")),
      result(1, new ObjectReference(1)),
    );
    assert.deepEqual(
      await peer.ask(invoke(3, supervisor, "[]")),
      result(3, new ObjectReference(2)),
    );
    assert.deepEqual(
      await peer.ask(invoke(5, supervisor, "[]")),
      failure(5, "RuntimeError", "Cannot pass more than 2 objects: release some"),
    );
    peer.send(release(1));
    assert.deepEqual(
      await peer.ask(invoke(7, supervisor, "[]")),
      result(7, new ObjectReference(3)),
    );
  });
});

describe("Connection.invoke()", () => {
  it("rejects when the peer answers with an exception", async () => {
    const [client, { connection }] = await pair();
    connection.bind("supervisor", {
      fail: () => {
        throw new RemoteError("Connection not found: 99", "ArgumentError");
      },
      exception: () => new RemoteException("My::Error", "as a value"),
    });
    await assert.rejects(
      client.invoke("supervisor", "fail"),
      remoteError("ArgumentError", "Connection not found: 99"),
    );
    await assert.rejects(
      client.invoke("nope", "fail"),
      remoteError("NameError", "Object not found: nope"),
    );
    assert.deepEqual(
      await client.invoke("supervisor", "exception"),
      new RemoteException("My::Error", "as a value"),
    );
  });

  it("rejects when the peer throws", async () => {
    const [peer, { connection }] = await raw();
    const call = connection.invoke("worker", "throw_it");
    await peer.next();
    peer.send(thrown(2, symbol("tag"), 42));
    await assert.rejects(call, remoteError("UncaughtThrowError", "uncaught throw tag"));
  });

  it("answers a peer that wants a block", async () => {
    const [peer, { connection }] = await raw();
    const call = connection.invoke("worker", "each");
    await peer.next();
    assert.deepEqual(await peer.ask(yielded(2, 1)), failure(2, "RuntimeError", "no block given"));
    peer.send(failure(2, "RuntimeError", "no block given"));
    await assert.rejects(call, remoteError("RuntimeError", "no block given"));
  });

  it("gives up after its timeout, and drops an answer that comes later", async () => {
    const [peer, { connection, lines }] = await raw();
    const call = connection.invoke("worker", "ping", [], { timeoutMs: 1 });
    await assert.rejects(call, callError("timeout", /^Cannot call "ping": no answer within 1 ms$/));
    peer.send(result(2, "late"), failure(2, "RuntimeError", "later"));
    const second = connection.invoke("worker", "ping");
    await peer.next();
    await peer.next();
    peer.send(result(4, "in time"));
    assert.equal(await second, "in time");
    assert.deepEqual(lines, []);
  });

  it("gives up when it is aborted", async () => {
    const [peer, { connection }] = await raw();
    const controller = new AbortController();
    const call = connection.invoke("worker", "ping", [], { signal: controller.signal });
    await peer.next();
    controller.abort(new Error("enough"));
    await assert.rejects(call, /^Error: enough$/);
    const late = connection.invoke("worker", "ping", [], { signal: controller.signal });
    await assert.rejects(late, /^Error: enough$/);
  });

  it("rejects arguments that cannot be sent, and nothing is", async () => {
    limits = { sentFrameSize: 1024 * 1024 };
    const [peer, { connection }] = await raw();
    await assert.rejects(connection.invoke("worker", "a", [new Date(0)]), TypeError);
    await assert.rejects(connection.invoke("worker", "a", ["x".repeat(1024 * 1024)]), RangeError);
    connection.invoke("worker", "b").catch(() => {});
    assert.deepEqual(await peer.next(), receivedMessage(invoke(2, symbol("worker"), "b")));
  });

  it("limits how many calls are open", async () => {
    limits = { calls: 2 };
    const [peer, { connection }] = await raw();
    const calls = [connection.invoke("worker", "a"), connection.invoke("worker", "b")];
    await assert.rejects(
      connection.invoke("worker", "c"),
      callError("busy", /^Cannot call "c": 2 calls are open$/),
    );
    peer.send(result(2, 1), result(4, 2));
    assert.deepEqual(await Promise.all(calls), [1, 2]);
    const fourth = connection.invoke("worker", "d");
    peer.send(result(6, 4));
    assert.equal(await fourth, 4);
  });

  it("rejects on a closed connection", async () => {
    const [, { connection }] = await raw();
    connection.close();
    assert.equal(connection.closed, true);
    await assert.rejects(
      connection.invoke("worker", "a"),
      callError("closed", /^Cannot call "a": connection is closed$/),
    );
  });
});

describe("Connection, as a bystander", () => {
  it("drops answers that nobody waits for", async () => {
    const [peer, { connection, lines }] = await raw();
    connection.bind("supervisor", { keys: () => [] });
    peer.send(result(2, 1), failure(4, "A", "b"), next(1, 2), thrown(2, 1, 2), yielded(2, 1));
    peer.socket.write(bytes("d5 06 02 01"));
    assert.deepEqual(await peer.ask(invoke(1, supervisor, "keys")), result(1, []));
    assert.deepEqual(lines, []);
  });

  it("does not take an answer for a call of the peer with the same id", async () => {
    const [peer, { connection }] = await raw();
    connection.bind("supervisor", { keys: () => [] });
    const call = connection.invoke("worker", "ping");
    await peer.next();
    assert.deepEqual(await peer.ask(invoke(2, supervisor, "keys")), result(2, []));
    peer.send(result(2, "pong"));
    assert.equal(await call, "pong");
  });
});

describe("Connection, at its end", () => {
  it("rejects open calls and tells onClose once", async () => {
    const [peer, { connection, ended, reasons, lines }] = await raw();
    const call = connection.invoke("worker", "ping");
    await peer.next();
    peer.socket.destroy();
    await assert.rejects(call, callError("closed", /^Cannot wait for an answer: peer closed/));
    assert.equal(await ended.promise, "peer closed the connection");
    connection.close();
    await sleep(1);
    assert.equal(reasons.length, 1);
    assert.deepEqual(lines, []);
  });

  it("closes by itself, with a reason", async () => {
    const [peer, { connection, reasons }] = await raw();
    const call = connection.invoke("worker", "ping");
    connection.close("shutting down");
    await assert.rejects(call, callError("closed", /shutting down$/));
    assert.deepEqual(reasons, ["shutting down"]);
    await once(peer.socket, "close");
  });

  it("takes a half-closed peer for gone, whatever is open", async () => {
    const [peer, { connection, socket, ended, reasons }] = await raw();
    const served = new Deferred<void>();
    const answer = new Deferred<number>();
    connection.bind("supervisor", {
      register: () => {
        served.resolve();
        return answer.promise;
      },
    });
    const call = connection.invoke("worker", "setup");
    peer.send(invoke(1, supervisor, "register"));
    await served.promise;
    peer.socket.end();
    await assert.rejects(call, callError("closed", /peer closed/));
    await ended.promise;
    answer.resolve(1);
    await sleep(1);
    assert.equal(socket.destroyed, true);
    assert.deepEqual(reasons, ["peer closed the connection"]);
  });

  it("survives a peer that goes while it is written to", async () => {
    const [peer, { connection, ended, lines }] = await raw();
    connection.bind("supervisor", { keys: () => "x".repeat(1000) });
    for (let id = 1; id < 2000; id += 2) peer.send(invoke(id, supervisor, "keys"));
    await peer.next();
    peer.socket.destroy();
    await ended.promise;
    assert.deepEqual(lines, []);
  });

  it("takes a socket that fails for an end", async () => {
    const ended = new Deferred<string>();
    const connection = new Connection({
      socket: connect(join(folder, "nobody.ipc")),
      accepting: false,
      log: console,
      onClose: ended.resolve,
    });
    await assert.rejects(connection.invoke("supervisor", "status"), callError("closed", /ENOENT/));
    assert.match(await ended.promise, /^connection failed: .*ENOENT/);
  });

  it("survives an onClose that throws", async () => {
    const lines: string[] = [];
    const log = { ...console, error: (message: string) => lines.push(message) };
    const [socket] = await dial();
    const onClose = () => {
      throw new Error("no");
    };
    new Connection({ socket, accepting: false, log, onClose }).close();
    assert.deepEqual(lines, ["Cannot tell of the end of peer"]);
  });
});

describe("Connection, within limits", () => {
  it("disconnects a peer that breaks the protocol, and no other", async () => {
    const [other, { connection }] = await raw();
    connection.bind("supervisor", { keys: () => [] });
    for (const [hex, reason] of [
      ["c1", /starts with byte 0xc1$/],
      ["c7 0a 00 01 d4 20 61 ce ffffffff c2", /4294967295 values wanted/],
      ["c9 00100001 00", /1048577 bytes: limit is 1048576 bytes$/],
      ["d6 7f 00000000", /unknown type 127$/],
      [`c7 82 01 01 ${"91".repeat(128)} 90`, /limit is 32 levels$/],
    ] as const) {
      const [peer, end] = await raw();
      end.connection.label = "worker 7";
      peer.socket.write(bytes(hex));
      assert.match(await end.ended.promise, reason);
      assert.equal(end.lines.length, 1);
      assert.match(end.lines[0]!, /^Disconnected worker 7: /);
      await once(peer.socket, "close");
    }
    assert.deepEqual(await other.ask(invoke(1, supervisor, "keys")), result(1, []));
  });

  it("serves what came before the offence, and nothing after it", async () => {
    const [peer, { connection, ended }] = await raw();
    const served: unknown[] = [];
    connection.bind("supervisor", { note: ([value]) => served.push(value) });
    const notes = [1, 2].map((id) => encodeMessage(invoke(id, supervisor, "note", [id])));
    peer.socket.write(Uint8Array.from([...notes[0]!, 0xc1, ...notes[1]!]));
    await ended.promise;
    assert.deepEqual(served, [1]);
  });

  it("disconnects a peer with too many calls at once", async () => {
    limits = { serving: 3 };
    const [peer, { connection, ended, lines }] = await raw();
    let served = 0;
    connection.bind("supervisor", {
      wait: () => {
        served++;
        return new Promise(() => {});
      },
      keys: () => [],
    });
    for (let id = 1; id <= 7; id += 2) peer.send(invoke(id, supervisor, "wait"));
    assert.equal(await ended.promise, "more than 3 calls at once");
    assert.equal(served, 3);
    assert.deepEqual(lines, ["Disconnected peer: more than 3 calls at once"]);
  });

  it("forgets calls that were answered", async () => {
    limits = { serving: 1 };
    const [peer, { connection }] = await raw();
    connection.bind("supervisor", { soon: async ([value]) => value });
    for (let id = 1; id < 20; id += 2) {
      assert.deepEqual(await peer.ask(invoke(id, supervisor, "soon", [id])), result(id, id));
    }
  });

  it("disconnects a peer without a whole frame in time", async () => {
    limits = { firstFrameMs: 1 };
    const [silent, { ended, lines }] = await raw();
    assert.equal(await ended.promise, "no whole frame within 1 ms");
    assert.deepEqual(lines, ["Disconnected peer: no whole frame within 1 ms"]);
    await once(silent.socket, "close");

    limits = { firstFrameMs: 20 };
    const [slow, end] = await raw();
    slow.socket.write(bytes("c9 00100000"));
    assert.equal(await end.ended.promise, "no whole frame within 20 ms");
  });

  it("leaves a peer alone after its first frame", async () => {
    // In memory, so that the frame is there before any timer can be.
    const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const { connection } = new Accepted(socket, { firstFrameMs: 1 });
    socket.push(encodeMessage(release(1)));
    await sleep(30);
    assert.equal(connection.closed, false);
    connection.close();
  });

  it("disconnects a peer that does not read, at once and with one line", async () => {
    const [peer, { connection, socket, ended, lines }] = await raw(false);
    connection.bind("supervisor", { status: () => "x".repeat(100_000) });
    for (let id = 1; id < 200; id += 2) peer.send(invoke(id, supervisor, "status"));
    assert.equal(await ended.promise, "would exceed 1048576 unsent bytes");
    assert.deepEqual(lines, ["Disconnected peer: would exceed 1048576 unsent bytes"]);
    assert(socket.writableLength <= 1024 * 1024);
  });

  it("never disconnects a patient peer: calls fail, answers are dropped, then it goes on", async () => {
    const [peer, { connection, socket, lines }] = await raw(false);
    connection.patient = true;
    let served = 0;
    const enough = new Deferred<void>();
    connection.bind("supervisor", {
      status: () => {
        if (++served === 100) enough.resolve();
        return "x".repeat(100_000);
      },
      keys: () => [],
    });
    for (let id = 1; id < 200; id += 2) peer.send(invoke(id, supervisor, "status"));
    await enough.promise;
    await assert.rejects(
      connection.invoke("worker", "ping", ["x".repeat(100_000)]),
      callError("busy", /^Cannot call "ping": would exceed 1048576 unsent bytes$/),
    );
    assert.equal(connection.closed, false);
    assert(socket.writableLength <= 1024 * 1024);

    // The peer wakes up: what was sent is whole, and it is served as before.
    const reader = new FrameReader();
    const heard: Message[] = [];
    const pong = new Deferred<void>();
    peer.socket.on("data", (chunk: Uint8Array) => {
      for (const message of reader.read(chunk)) {
        heard.push(message);
        if ("id" in message && message.id === 201) pong.resolve();
      }
    });
    if (socket.writableLength > 0) await once(socket, "drain");
    peer.send(invoke(201, supervisor, "keys"));
    await pong.promise;
    assert.deepEqual(heard.at(-1), result(201, []));
    assert(heard.length < 100);
    assert.deepEqual(lines, []);
  });

  it("lets one long frame out, whatever the limit on unsent bytes", async () => {
    limits = { unsentSize: 1000 };
    const [peer, { connection }] = await raw();
    connection.bind("supervisor", { status: () => "x".repeat(500_000) });
    const answer = await peer.ask(invoke(1, supervisor, "status"));
    assert.deepEqual(answer, result(1, "x".repeat(500_000)));
  });
});
