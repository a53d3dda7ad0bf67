import {
  CLOSE,
  ERROR,
  INVOKE,
  type Message,
  NEXT,
  type Options,
  RELEASE,
  RETURN,
  THROW,
  YIELD,
} from "../host/bus/messages.ts";
import {
  type ObjectName,
  ObjectReference,
  RemoteException,
  RubyClass,
  symbol,
} from "../host/bus/values.ts";
import { readJson } from "./data.ts";

export interface Frame {
  readonly capture: string;
  readonly direction: "client to server" | "server to client";
  readonly hex: string;
}

/** What real Ruby processes said, in wire order. */
export const frames = readJson("test/captures/frames.json") as readonly Frame[];

export function bytes(hex: string): Uint8Array {
  return Uint8Array.from(hex.replaceAll(" ", "").match(/../g) ?? [], (byte) => Number(`0x${byte}`));
}

/** A map with Symbols for keys, as it is sent. */
export function symbols(entries: Record<string, unknown>): Map<unknown, unknown> {
  return new Map(Object.entries(entries).map(([key, value]) => [symbol(key), value]));
}

/** A value as it arrives after it was sent: maps are objects without a prototype. */
export function received(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(received);
  const isMap = value instanceof Map;
  if (!isMap && Object.getPrototypeOf(value ?? 0) !== Object.prototype) return value;
  const entries = isMap ? [...value] : Object.entries(value as object);
  const result = Object.create(null);
  for (const [key, item] of entries) result[key.name ?? key] = received(item);
  return result;
}

/** A message as it arrives. */
export function receivedMessage(message: Message): Message {
  const fields = Object.entries(message).map(([key, value]) => [key, received(value)]);
  return Object.fromEntries(fields);
}

export function invoke(
  id: number,
  object: ObjectName,
  method: string,
  positional: readonly unknown[] = [],
  options: Options = {},
  block = false,
): Message {
  return { type: INVOKE, id, object, method, arguments: positional, options, block };
}

export function result(id: number, value: unknown): Message {
  return { type: RETURN, id, result: value };
}

export function next(id: number, value: unknown): Message {
  return { type: NEXT, id, result: value };
}

export function close(id: number, value: unknown): Message {
  return { type: CLOSE, id, result: value };
}

export function yielded(id: number, ...values: unknown[]): Message {
  return { type: YIELD, id, arguments: values };
}

export function thrown(id: number, tag: unknown, value: unknown): Message {
  return { type: THROW, id, tag, value };
}

export function release(object: ObjectName): Message {
  return { type: RELEASE, object };
}

export function failure(
  id: number,
  className: string | null,
  message: string,
  backtrace: readonly string[] | null = [],
): Message {
  return { type: ERROR, id, exception: new RemoteException(className, message, backtrace) };
}

const supervisor = symbol("supervisor");
const worker = symbol("worker");
const root = symbol("root");

function register(
  id: number,
  pid: number,
  state: Record<string, unknown>,
  holder: unknown,
): Message {
  return invoke(id, supervisor, "register", [holder], { process_id: pid, state: symbols(state) });
}

function setup(offset: number): Message {
  return invoke(2, worker, "setup_utilization_observer", ["run/u.shm", 512, offset]);
}

function schema(...rows: [string, string, number][]): unknown {
  return rows.map(([name, type, offset]) => [symbol(name), symbol(type), offset]);
}

const web = { name: "web" };
const me = new ObjectReference(worker);
const fourFields = schema(
  ["connections_active", "u32", 0],
  ["connections_total", "u64", 4],
  ["requests_active", "u32", 12],
  ["requests_total", "u64", 16],
);
const seventeenFields = schema(
  ...Array.from({ length: 17 }, (_, index): [string, string, number] => {
    return [`field_${String(index + 1).padStart(2, "0")}`, "u64", index * 8];
  }),
);

/** What each frame says, as we would say it. */
export const messages: readonly Message[] = [
  // 01-register
  register(1, 3375, web, me),
  setup(0),
  result(2, fourFields),
  release(supervisor),
  result(1, 1),
  invoke(4, worker, "public_send", [symbol("garbage_profile_start")]),
  result(4, symbols({ started: true })),
  // 02-status
  invoke(1, supervisor, "status"),
  result(1, [
    symbols({
      type: "Async::Service::Supervisor::UtilizationMonitor",
      data: {
        web: symbols({
          connections_active: 3,
          connections_total: 2n ** 64n - 1n,
          requests_active: 7,
          requests_total: 20,
          worker_count: 1,
        }),
      },
    }),
  ]),
  invoke(3, supervisor, "keys"),
  result(3, [1]),
  invoke(5, supervisor, "nope"),
  failure(
    5,
    "NoMethodError",
    "undefined method `nope' for an instance of Async::Service::Supervisor::SupervisorController",
  ),
  invoke(7, supervisor, "[]", [99]),
  failure(7, "ArgumentError", "Connection not found: 99"),
  invoke(9, symbol("nope"), "status"),
  failure(9, "NameError", "Object not found: nope", null),
  invoke(11, supervisor, "[]"),
  failure(11, "ArgumentError", "wrong number of arguments (given 0, expected 1)"),
  // 03-multihop
  invoke(1, supervisor, "[]", [1]),
  result(1, new ObjectReference(860)),
  invoke(3, 860, "garbage_profile_start"),
  result(3, symbols({ started: true })),
  invoke(5, supervisor, "[]", [1]),
  result(5, new ObjectReference(860)),
  // 04-nil-schema
  register(1, 4004, web, me),
  setup(512),
  result(2, []),
  result(1, 2),
  // 05-empty-schema
  register(1, 4096, web, me),
  setup(1024),
  result(2, []),
  result(1, 3),
  // 06-worker-raises
  register(1, 4310, web, me),
  setup(1536),
  failure(2, "ArgumentError", "worker raises on purpose"),
  result(1, 4),
  // 07-double-register
  register(1, 4371, web, me),
  setup(2048),
  result(2, fourFields),
  result(1, 5),
  register(3, 4371, web, me),
  failure(3, "RuntimeError", "Already registered"),
  // 08-nil-worker
  register(1, 4432, web, null),
  release(worker),
  result(1, 6),
  // 09-symbol-name
  register(1, 4495, { name: symbol("web") }, me),
  setup(3072),
  result(2, schema(["a", "f64", 0], ["b", "S8", 8])),
  result(1, 7),
  // 10-no-name-17-fields
  register(1, 70000, { extra: symbols({ x: [1, 2.5, null, true] }) }, me),
  setup(3584),
  result(2, seventeenFields),
  result(1, 8),
  // 11-bus-kinds
  invoke(1, root, "count", [2], {}, true),
  yielded(1, 0),
  next(1, 0),
  yielded(1, 1),
  next(1, 10),
  result(1, [0, 10]),
  invoke(3, root, "count", [2], {}, true),
  yielded(3, 0),
  failure(3, "ArgumentError", "in block"),
  failure(3, "ArgumentError", "in block"),
  invoke(5, root, "count", [2], {}, true),
  yielded(5, 0),
  invoke(7, root, "throw_it"),
  thrown(7, symbol("tag"), 42),
  invoke(9, root, "klass"),
  result(9, new RubyClass("ArgumentError")),
  invoke(11, root, "nan"),
  result(11, [Number.NaN, Number.POSITIVE_INFINITY, -0, 1.5, 2n ** 64n - 1n, -(2n ** 63n)]),
  invoke(13, root, "big", [70000]),
  invoke(15, root, "bignum", [64]),
  failure(15, "RangeError", "bignum too big to convert into `unsigned long long'"),
  invoke(17, root, "object"),
  failure(17, "NoMethodError", "undefined method `to_msgpack' for an instance of Object"),
  invoke(19, root, "echo", [1, null, "s", symbol("sym"), { k: symbol("v") }], { key: 1.5 }),
  result(19, [[1, null, "s", symbol("sym"), { k: symbol("v") }], symbols({ key: 1.5 })]),
  invoke(21, root, "me", [new RubyClass("String")]),
  result(21, "Class"),
  invoke(23, root, "thing"),
  result(23, new ObjectReference(640, true)),
  invoke(25, 640, "hello", [symbol("bob")]),
  result(25, "hello bob"),
  release(640),
  invoke(27, root, "me", [1]),
  result(27, "Integer"),
  invoke(29, root, "class"),
  result(29, new RubyClass("Root")),
  invoke(31, root, "custom"),
  failure(31, null, "anonymous class"),
];
