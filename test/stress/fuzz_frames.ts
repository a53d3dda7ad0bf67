// Mutated frames into the decoder of the bus, and into whole connections: nothing is thrown but a
// ProtocolError, nothing takes more time or memory than its bytes allow, and what is read is read
// again when it is written.

import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { Connection } from "../../host/bus/connection.ts";
import { decodeValues } from "../../host/bus/decode.ts";
import { ProtocolError, RemoteError } from "../../host/bus/errors.ts";
import { FrameReader, MAX_FRAME_SIZE } from "../../host/bus/frame_reader.ts";
import { encodeMessage, INVOKE, type Message } from "../../host/bus/messages.ts";
import { MAX_NESTING, MAX_VALUES, scan } from "../../host/bus/scan.ts";
import { ObjectReference, RemoteException, RubyClass, RubySymbol } from "../../host/bus/values.ts";
import { bytes, received, receivedMessage, result } from "../bus_captures.ts";
import { CollectingLogger } from "../support/log.ts";
import { MESSAGE, MUTATED_STREAM, type Stream } from "../support/mutated_frames.ts";
import { type Finding, search } from "../support/search.ts";
import { SilentWire } from "../support/silent_wire.ts";
import type { Form, Outcome, StressContext, Subject } from "./subject.ts";

const STREAMS: Readonly<Record<Form, number>> = { short: 10_000, long: 1_000_000 };
/** Of the messages that keep to the protocol, and of the connections, one for so many streams. */
const SHARE = 10;
/** Frames whose messages are kept, to be read again much later. */
const REMEMBERED = 512;

/** What once went wrong: frames, and what the last one says; undefined where it is to be refused. */
const FOUND: readonly (readonly [what: string, frames: readonly string[], last?: Message])[] = [
  ["a Throw with a tag and no value was read", ["d6 05 01 91 a1 61"]],
  [
    "a map key that ends within a character was read together with the bytes behind it, and that was remembered for the next peer",
    ["c7 07 01 01 81 a1 e0 a2 73 65", "c7 05 01 01 81 a1 e0 01"],
    result(1, received(new Map([["\ufffd", 1]]))),
  ],
];

export const subject: Subject = {
  name: "fuzz_frames",

  async run(form: Form, { seed, fault, note }: StressContext): Promise<Outcome> {
    const count = STREAMS[form];
    const decoder = new DecoderCheck();
    const findings: Finding[] = [
      checkFound(),
      await search(
        fc.property(MUTATED_STREAM, (stream) => decoder.check(stream)),
        {
          count,
          seed,
        },
      ),
      await search(
        fc.property(MESSAGE, (message) => checkArrival(message, fault)),
        {
          count: count / SHARE,
          seed,
        },
      ),
      await search(fc.property(MUTATED_STREAM, checkConnection), { count: count / SHARE, seed }),
    ];
    const heap = await heapOfBombs();
    if (heap.failure !== null) findings.push(heap);
    for (const { failure } of findings) if (failure !== null) note(failure);
    note(
      `${decoder.messages} messages read, ${decoder.refused} streams refused, ` +
        `at most ${decoder.mostReads.toFixed(1)} bytes looked at for each byte`,
    );
    const [, streams, messages, connections] = findings;
    return {
      tried: `${streams!.tried} streams, ${messages!.tried} messages, ${connections!.tried} connections`,
      lost: findings.reduce((sum, { lost }) => sum + lost, 0),
      crashed: findings.reduce((sum, { crashed }) => sum + crashed, 0),
    };
  },
};

function checkFound(): Finding {
  const wrong = FOUND.filter(([, frames, last]) => {
    const read = frames.map((hex) => readAll({ bytes: bytes(hex), chunks: [] }).messages[0]);
    return !isDeepStrictEqual(read.at(-1), last);
  });
  const failure = wrong.length === 0 ? null : wrong.map(([what]) => what).join("; ");
  return { tried: FOUND.length, lost: wrong.length, crashed: 0, failure };
}

/** The messages in some chunks, and whether the reader gave up on what follows them. */
function readAll({ bytes, chunks }: Stream): { messages: Message[]; refused: string | null } {
  const reader = new FrameReader();
  const messages: Message[] = [];
  try {
    for (const chunk of cut(bytes, chunks)) {
      for (const message of reader.read(chunk)) messages.push(message);
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { messages, refused: error.message };
  }
  return { messages, refused: null };
}

/** Cuts bytes into chunks of these lengths, again and again; of no lengths: one chunk. */
function* cut(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const length = lengths[index % lengths.length] ?? bytes.length;
    // Each chunk has its own memory, as from a socket.
    yield bytes.slice(at, at + length);
    at += length;
  }
}

class DecoderCheck {
  messages = 0;
  refused = 0;
  /** How often a byte was looked at by the scan, at most, on average over the bytes of a stream. */
  mostReads = 0;
  #count = 0;
  readonly #remembered: { readonly stream: Stream; readonly messages: readonly Message[] }[] = [];

  check(stream: Stream): void {
    const whole = readAll({ bytes: stream.bytes, chunks: [] });
    const parts = readAll(stream);
    assert.deepEqual(parts, whole, "chunks make no difference");
    this.messages += whole.messages.length;
    if (whole.refused !== null) {
      this.refused++;
      assert.doesNotMatch(whole.refused, /\p{Cc}/u, "a reason is one line of text");
    }
    for (const message of whole.messages) checkRoundTrip(message);
    let size = 0;
    for (const message of whole.messages) size += countOf(message);
    assert.ok(size <= stream.bytes.length, `${size} values of ${stream.bytes.length} bytes`);
    // Behind the header: what a frame itself is, no value may be.
    this.#scanWithinBounds(stream.bytes.subarray(3));
    this.#readAgain(stream, whole.messages);
  }

  /** The scan looks at each byte a few times at most, and at none that is not there. */
  #scanWithinBounds(source: Uint8Array): void {
    if (this.#count % 16 !== 0) return;
    let reads = 0;
    const watched = new Proxy(source, {
      get(target, key) {
        if (typeof key === "string" && /^\d+$/.test(key)) {
          assert.ok(Number(key) < target.length, `byte ${key} of ${target.length}`);
          reads++;
        }
        return Reflect.get(target, key, target);
      },
    });
    try {
      scan(watched, MAX_NESTING);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
    }
    assert.ok(reads <= 2 * source.length, `${reads} reads of ${source.length} bytes`);
    this.mostReads = Math.max(this.mostReads, reads / Math.max(1, source.length));
  }

  /** What is read does not depend on what was read before. */
  #readAgain(stream: Stream, messages: readonly Message[]): void {
    const slot = this.#count++ % REMEMBERED;
    const old = this.#remembered[slot];
    if (old !== undefined) {
      assert.deepEqual(readAll(old.stream).messages, old.messages, "read again, it is another");
    }
    this.#remembered[slot] = { stream, messages };
  }
}

/** A message arrives as it was sent. */
function checkArrival(message: Message, fault: boolean): void {
  const sent = fault && "id" in message ? { ...message, id: message.id + 1 } : message;
  assert.deepEqual(passedOn(sent), receivedMessage(message), "it arrives as another");
}

/** A message that has arrived can be sent on. */
function checkRoundTrip(arrived: Message): void {
  assert.deepEqual(passedOn(arrived), arrived, "sent on, it is another");
}

function passedOn(message: Message): Message {
  const frame = encodeMessage(message);
  const [read, ...more] = new FrameReader({ frameSize: Number.POSITIVE_INFINITY }).read(frame);
  assert.equal(more.length, 0, "one frame is one message");
  assert.ok(read !== undefined, "a whole frame is a message");
  return read;
}

/** How many values there are in a value. */
function countOf(value: unknown): number {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return 1;
  if (value instanceof RubySymbol || value instanceof RubyClass) return 1;
  if (value instanceof ObjectReference) return 2;
  if (value instanceof RemoteException) return 3;
  return Object.values(value).reduce((sum: number, item) => sum + countOf(item), 0);
}

/** A connection answers each call once or ends with one line in the log; nothing else is thrown. */
function checkConnection({ bytes, chunks }: Stream): void {
  const log = new CollectingLogger();
  const reasons: string[] = [];
  const wire = new SilentWire();
  const connection = new Connection({
    socket: wire,
    accepting: true,
    log,
    onClose: (reason) => reasons.push(reason),
  });
  connection.bind("supervisor", {
    status: () => [],
    keys: (positional) => positional,
    register: (_positional, options) => options,
    "[]": () => {
      throw new RemoteError("no such worker", "ArgumentError");
    },
  });
  connection.bind("root", { echo: (positional, options) => [positional, options] });
  try {
    for (const chunk of cut(bytes, chunks)) wire.deliver(chunk);
    const { messages, refused } = readAll({ bytes, chunks: [] });
    const asked = messages.filter(({ type }) => type === INVOKE);
    const answered = wire.sent;
    assert.deepEqual(answered.map(idOf), asked.map(idOf), "each call is answered once, in order");
    assert.equal(connection.closed, refused !== null);
    assert.deepEqual(reasons, refused === null ? [] : [refused]);
    assert.deepEqual(log.lines, refused === null ? [] : [`Disconnected peer: ${refused}`]);
    assert.deepEqual(Object.keys(Object.prototype), [], "nothing is polluted");
  } finally {
    connection.close();
  }
}

function idOf(message: Message): number | null {
  return "id" in message ? message.id : null;
}

/** A unit of MessagePack, and how many values it is: frames full of them are what costs the most. */
const BOMBS: readonly (readonly [unit: string, values: number])[] = [
  ["80", 1],
  ["90", 1],
  ["a0", 1],
  ["cf ff ff ff ff ff ff ff ff", 1],
  ["d4 20 61", 1],
  ["d4 10 05", 2],
  ["c7 03 21 c0 a0 c0", 4],
  ["81 a1 61 01", 3],
  ["81 d4 20 61 80", 3],
];

/** Whatever the largest frames become, none of it is kept. */
async function heapOfBombs(): Promise<Finding> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const used = async (): Promise<number> => {
    // What is external is given back some turns later.
    for (let round = 0; round < 4; round++) {
      collect();
      await turn();
    }
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const readAllBombs = (): void => {
    for (const [unit, values] of BOMBS) readBomb(bytes(unit), values);
  };
  readAllBombs();
  const before = await used();
  for (let round = 0; round < 8; round++) readAllBombs();
  const left = (await used()) - before;
  const clean = { tried: BOMBS.length, lost: 0, crashed: 0, failure: null };
  if (left <= MAX_FRAME_SIZE) return clean;
  return {
    ...clean,
    lost: 1,
    failure: `${8 * BOMBS.length} large frames left ${left} bytes behind`,
  };
}

/** A frame of the largest size with as many values as there may be, and one with one more. */
function readBomb(unit: Uint8Array, values: number): void {
  const payload = new Uint8Array(MAX_FRAME_SIZE);
  const count = Math.floor(Math.min((MAX_VALUES - 1) / values, (payload.length - 5) / unit.length));
  for (let index = 0; index < count; index++) payload.set(unit, index * unit.length);
  const end = count * unit.length;
  const filler = new DataView(payload.buffer, end);
  filler.setUint8(0, 0xc6);
  filler.setUint32(1, payload.length - end - 5);
  assert.equal(decodeValues(payload).length, count + 1);
  const tooMany = new Uint8Array((MAX_VALUES / values + 1) * unit.length);
  for (let at = 0; at + unit.length <= tooMany.length; at += unit.length) tooMany.set(unit, at);
  assert.throws(() => decodeValues(tooMany), ProtocolError);
}
