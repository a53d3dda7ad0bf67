// Frames as a broken or hostile peer could send them: real ones, with a few things done to them.

import fc from "fast-check";
import { encodeExtension } from "../../host/bus/encode.ts";
import { encodeMessage, type Message } from "../../host/bus/messages.ts";
import { ObjectReference, RemoteException, RubyClass, symbol } from "../../host/bus/values.ts";
import {
  bytes,
  close,
  failure,
  frames,
  invoke,
  next,
  release,
  result,
  symbols,
  thrown,
  yielded,
} from "../bus_captures.ts";

/** A stream of bytes, and the lengths of the chunks in which it arrives. */
export interface Stream {
  readonly bytes: Uint8Array;
  readonly chunks: readonly number[];
}

const EMPTY = new Uint8Array(0);
const CAPTURED: readonly Uint8Array[] = frames.map(({ hex }) => bytes(hex));

/**
 * What no frame can hold: all types that have a length, with one that is too large, and a map that
 * would change the prototype of an object.
 */
const BOMBS: readonly Uint8Array[] = [
  "81 c7 09 20 5f 5f 70 72 6f 74 6f 5f 5f 81 01 01",
  "81 c4 09 5f 5f 70 72 6f 74 6f 5f 5f 81 01 01",
  "c4 ff",
  "c5 ff ff",
  "c6 ff ff ff ff",
  "c7 ff 20",
  "c8 ff ff 21",
  "c9 ff ff ff ff 10",
  "c9 7f ff ff ff 22",
  "d9 ff",
  "da ff ff",
  "db ff ff ff ff",
  "db 80 00 00 00",
  "dc ff ff",
  "dd ff ff ff ff",
  "dd 00 01 00 00",
  "de ff ff",
  "df ff ff ff ff",
  "df 80 00 00 00",
].map(bytes);

/** Heads that lay the following value one level deeper. */
const LEVELS: readonly Uint8Array[] = [
  "91",
  "81 01",
  "dc 00 01",
  "c7 7f 10",
  "c7 7f 21",
  "d5 30",
].map(bytes);

/** One change to some bytes: `at` is taken modulo their length. */
type Mutation = (source: Uint8Array) => Uint8Array;

/** Replaces `removed` bytes at `at` by others. */
function replace(source: Uint8Array, at: number, removed: number, by: Uint8Array): Uint8Array {
  const start = at % (source.length + 1);
  const rest = source.subarray(Math.min(start + removed, source.length));
  const target = new Uint8Array(start + by.length + rest.length);
  target.set(source.subarray(0, start));
  target.set(by, start);
  target.set(rest, start + by.length);
  return target;
}

function flip(source: Uint8Array, bit: number): Uint8Array {
  if (source.length === 0) return source;
  const target = source.slice();
  target[(bit >>> 3) % source.length]! ^= 1 << (bit & 7);
  return target;
}

const AT = fc.nat(4095);
const SHORT = fc.nat(16);

function mutations(frame: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Mutation> {
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc.nat(32_767).map(
        (bit): Mutation =>
          (source) =>
            flip(source, bit),
      ),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(AT, fc.nat(255)).map(
        ([at, byte]): Mutation =>
          (source) =>
            replace(source, at, 1, Uint8Array.of(byte)),
      ),
    },
    {
      weight: 1,
      arbitrary: AT.map(
        (at): Mutation =>
          (source) =>
            source.subarray(0, at % (source.length + 1)),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(AT, SHORT, fc.uint8Array({ maxLength: 12 })).map(
        ([at, removed, by]): Mutation =>
          (source) =>
            replace(source, at, removed, by),
      ),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(AT, SHORT, frame, AT, fc.nat(64))
        .map(([at, removed, other, from, length]): Mutation => {
          const start = from % (other.length + 1);
          const part = other.subarray(start, start + length);
          return (source) => replace(source, at, removed, part);
        }),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(AT, SHORT, fc.constantFrom(...BOMBS)).map(
        ([at, removed, bomb]): Mutation =>
          (source) =>
            replace(source, at, removed, bomb),
      ),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(AT, fc.constantFrom(...LEVELS), fc.nat(48))
        .map(([at, level, depth]): Mutation => {
          const levels = new Uint8Array(depth * level.length);
          for (let index = 0; index < depth; index++) levels.set(level, index * level.length);
          return (source) => replace(source, at, 0, levels);
        }),
    },
  );
}

const NAME = fc.oneof(
  fc.constantFrom("web", "supervisor", "worker", "register", "status", "keys", "__proto__", ""),
  fc.string({ maxLength: 8, unit: "binary" }),
);
/** The one name that is refused as the key of a map. */
const KEY = NAME.filter((name) => name !== "__proto__");
const OBJECT = fc.oneof(NAME.map(symbol), fc.nat(), NAME);

/** Everything that the bus has a word for. */
const VALUE: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom(
      null,
      true,
      false,
      -0,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 53,
      -(2 ** 31),
    ),
    fc.integer(),
    fc.double(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
    fc.string({ maxLength: 40, unit: "binary" }),
    fc.uint8Array({ maxLength: 20 }),
    NAME.map(symbol),
    NAME.map((name) => new RubyClass(name)),
    fc
      .tuple(OBJECT, fc.boolean())
      .map(([name, byReference]) => new ObjectReference(name, byReference)),
    fc
      .tuple(fc.option(NAME), NAME, fc.option(fc.array(NAME, { maxLength: 3 })))
      .map((parts) => new RemoteException(...parts)),
    fc.array(tie("value"), { maxLength: 4 }),
    fc
      .array(fc.tuple(fc.oneof(KEY, KEY.map(symbol), fc.integer()), tie("value")), { maxLength: 4 })
      .map((entries) => new Map(entries)),
  ),
})).value;

const ID = fc.nat();
const VALUES = fc.array(VALUE, { maxLength: 4 });

/** Any message, as a peer that keeps to the protocol would send it. */
export const MESSAGE: fc.Arbitrary<Message> = fc.oneof(
  fc
    .tuple(
      ID,
      OBJECT,
      NAME,
      VALUES,
      fc.dictionary(NAME, VALUE, { maxKeys: 3, noNullPrototype: true }),
      fc.boolean(),
    )
    .map((parts) => invoke(...parts)),
  fc
    .tuple(
      ID,
      VALUES,
      fc.option(fc.nat()),
      fc.dictionary(KEY, VALUE, { maxKeys: 3, noNullPrototype: true }),
    )
    .map(([id, values, process_id, state]) =>
      invoke(id, symbol("supervisor"), "register", values, { process_id, state: symbols(state) }),
    ),
  fc.tuple(ID, VALUE).map((parts) => result(...parts)),
  fc.tuple(ID, VALUE).map((parts) => next(...parts)),
  fc.tuple(ID, VALUE).map((parts) => close(...parts)),
  fc.tuple(ID, VALUES).map(([id, values]) => yielded(id, ...values)),
  fc.tuple(ID, VALUE, VALUE).map((parts) => thrown(...parts)),
  OBJECT.map(release),
  fc.tuple(ID, fc.option(NAME), NAME).map((parts) => failure(...parts)),
);

const FRAME: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...CAPTURED) },
  { weight: 1, arbitrary: MESSAGE.map(encodeMessage) },
);

const CHANGES = fc.array(mutations(FRAME), { minLength: 1, maxLength: 4 });

function changed(source: Uint8Array, changes: readonly Mutation[]): Uint8Array {
  return changes.reduce((target, change) => change(target), source);
}

/** The type and payload of a whole frame. */
function opened(frame: Uint8Array): { readonly type: number; readonly payload: Uint8Array } {
  const head = frame[0]!;
  const start = head >= 0xd4 ? 2 : 2 + (1 << (head - 0xc7));
  return { type: frame[start - 1]!, payload: frame.subarray(start) };
}

/** One frame: changed from outside, or with a sound header around a changed payload. */
const MUTATED_FRAME: fc.Arbitrary<Uint8Array> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.tuple(FRAME, CHANGES).map(([frame, changes]) => changed(frame, changes)),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(FRAME, CHANGES).map(([frame, changes]) => {
      const { type, payload } = opened(frame);
      return encodeExtension(type, changed(payload, changes));
    }),
  },
);

/** A mutated frame, with sound ones before and after it or not, in chunks of any length. */
export const MUTATED_STREAM: fc.Arbitrary<Stream> = fc
  .tuple(
    fc.option(FRAME, { freq: 3 }),
    MUTATED_FRAME,
    fc.option(FRAME, { freq: 3 }),
    fc.array(fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 200 })), {
      maxLength: 6,
    }),
  )
  .map(([before, frame, after, chunks]) => ({
    bytes: Buffer.concat([before ?? EMPTY, frame, after ?? EMPTY]),
    chunks,
  }));
