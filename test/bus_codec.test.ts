import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeValues } from "../host/bus/decode.ts";
import { encodeExtension, encodeValues } from "../host/bus/encode.ts";
import { ProtocolError } from "../host/bus/errors.ts";
import { FrameReader, MAX_FRAME_SIZE } from "../host/bus/frame_reader.ts";
import type { FrameLimits } from "../host/bus/limits.ts";
import { encodeMessage, type Message, RETURN } from "../host/bus/messages.ts";
import { ObjectReference, plain, RemoteException, RubyClass, symbol } from "../host/bus/values.ts";
import {
  bytes,
  close,
  failure,
  frames,
  invoke,
  messages,
  received,
  receivedMessage,
  result,
  symbols,
} from "./bus_captures.ts";

function read(chunk: Uint8Array, limits?: FrameLimits): Message[] {
  return [...new FrameReader(limits).read(chunk)];
}

function refuses(hex: string, message: RegExp): void {
  assert.throws(
    () => read(bytes(hex)),
    (error: unknown) => {
      assert(error instanceof ProtocolError);
      assert.match(error.message, message);
      return true;
    },
  );
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A frame with a payload of its own making. */
function frame(type: number, payload: string): string {
  return hex(encodeExtension(type, bytes(payload)));
}

/** mulberry32: the same numbers in every run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

describe("recorded frames", () => {
  it("all have an expected message", () => {
    assert.equal(messages.length, frames.length);
  });

  for (const [index, { capture, direction, hex: recorded }] of frames.entries()) {
    const message = messages[index]!;
    const name = `${capture}, frame ${index}, ${direction}`;

    it(`FrameReader reads ${name}`, () => {
      assert.deepEqual(read(bytes(recorded)), [receivedMessage(message)]);
    });

    it(`encodeMessage() writes ${name}`, () => {
      const encoded = encodeMessage(message);
      // Ruby marks some of its own texts as binary.
      if (recorded.includes("c42f77726f6e67") || recorded.includes("c4336269676e756d")) {
        assert.deepEqual(read(encoded), [receivedMessage(message)]);
      } else {
        assert.equal(hex(encoded), recorded);
      }
    });
  }
});

describe("FrameReader", () => {
  const stream = concat(frames.map((recorded) => bytes(recorded.hex)));
  const expected = messages.map(receivedMessage);

  it("reads many frames from one chunk", () => {
    assert.deepEqual(read(stream), expected);
  });

  it("reads frames that come byte by byte", () => {
    const reader = new FrameReader();
    const found = [...stream].flatMap((byte) => [...reader.read(Uint8Array.of(byte))]);
    assert.deepEqual(found, expected);
  });

  it("reads frames that are cut anywhere", () => {
    const below = random(1);
    for (let round = 0; round < 100; round++) {
      const reader = new FrameReader();
      const found: Message[] = [];
      for (let position = 0; position < stream.length; ) {
        const end = position + below(round < 50 ? 8 : 400);
        found.push(...reader.read(stream.subarray(position, end)));
        position = end;
      }
      assert.deepEqual(found, expected);
    }
  });

  it("reads a long frame that comes byte by byte in linear time", () => {
    // A copy per byte would move 128 GB here.
    const message = result(1, "x".repeat(512 * 1024));
    const reader = new FrameReader();
    const found = [...encodeMessage(message)].flatMap((byte) => [
      ...reader.read(Uint8Array.of(byte)),
    ]);
    assert.deepEqual(found, [message]);
  });

  it("reads every form of header, also longer ones than needed", () => {
    const texts = [0, 1, 3, 5, 6, 13, 14, 100, 300, 70_000].map((length) => "x".repeat(length));
    for (const text of texts) {
      assert.deepEqual(read(encodeMessage(result(7, text))), [result(7, text)]);
    }
    for (const form of ["d5 01", "c7 02 01", "c8 0002 01", "c9 00000002 01"]) {
      assert.deepEqual(read(bytes(`${form} 07 2a`)), [result(7, 42)]);
    }
  });

  it("does not share memory with the chunk", () => {
    const chunk = encodeMessage(result(1, Uint8Array.of(1, 2, 3)));
    const [message] = read(chunk);
    chunk.fill(0xff);
    assert.deepEqual(message, result(1, Uint8Array.of(1, 2, 3)));
  });

  it("takes a Buffer as well as a Uint8Array", () => {
    const chunk = Buffer.from(encodeMessage(result(1, Uint8Array.of(1, 2, 3))));
    const [message] = read(chunk);
    chunk.fill(0xff);
    assert.deepEqual(message, result(1, Uint8Array.of(1, 2, 3)));
  });

  it("refuses a frame of more than 1 MiB by its header alone", () => {
    assert.deepEqual(read(bytes("c9 00100000 01")), []);
    refuses("c9 00100001 01", /^Cannot read frame of 1048577 bytes: limit is 1048576 bytes$/);
    refuses("c9 ffffffff 01", /limit is 1048576 bytes/);
    const longest = result(1, "x".repeat(MAX_FRAME_SIZE - 6));
    assert.deepEqual(read(encodeMessage(longest)), [longest]);
  });

  it("refuses an unknown type by its header alone", () => {
    refuses("c9 00000010 07", /frame of unknown type 7$/);
    refuses("d6 20 6b657973", /frame of unknown type 32$/);
    refuses("d6 ff 00000000", /frame of unknown type 255$/);
  });

  it("refuses bytes that are no frame", () => {
    refuses("c1", /starts with byte 0xc1$/);
    refuses("2a", /starts with byte 0x2a$/);
    refuses("92 01 02", /starts with byte 0x92$/);
  });

  it("delivers what came before a broken frame", () => {
    const reader = new FrameReader().read(bytes("d5 01 01 01 c1"));
    assert.deepEqual(reader.next().value, result(1, 1));
    assert.throws(() => reader.next(), ProtocolError);
  });

  it("refuses claims that the bytes do not back", () => {
    // The frame that kills the original: 13 bytes, 4294967295 arguments.
    refuses("c7 0a 00 01 d4 20 61 ce ffffffff c2", /^Cannot read Invoke: 4294967295 values wanted/);
    refuses(frame(0x01, "01 dd ffffffff"), /^Cannot read 4294967295 values: 0 bytes are left$/);
    refuses(frame(0x01, "01 df ffffffff 00 00"), /8589934590 values: 2 bytes/);
    refuses(frame(0x01, "01 dc ffff"), /65535 values/);
    refuses(frame(0x01, "01 de 0002 00 00 00"), /4 values: 3 bytes/);
    refuses(frame(0x01, "01 db ffffffff"), /4294967295 bytes: 0 are left/);
    refuses(frame(0x01, "01 c6 ffffffff"), /4294967295 bytes: 0 are left/);
    refuses(frame(0x01, "01 c9 ffffffff 20"), /4294967295 bytes: 0 are left/);
    refuses(frame(0x01, "01 cb 00"), /8 bytes: 1 are left/);
    refuses(frame(0x01, "01 a5 6161"), /5 bytes: 2 are left/);
    refuses(frame(0x01, "01 92 01"), /2 values: 1 bytes/);
    refuses(frame(0x01, "01 92 93"), /2 values: 1 bytes/);
  });

  it("refuses values that it does not know", () => {
    refuses(frame(0x01, "01 c1"), /byte 0xc1 starts none$/);
    refuses(frame(0x01, "01 d4 40 00"), /extension of unknown type 64$/);
    refuses(frame(0x01, "01 d6 ff 00000000"), /extension of unknown type 255$/);
    // A message is no value.
    refuses(frame(0x01, "01 d5 01 01 01"), /extension of unknown type 1$/);
  });

  it("refuses extensions with too few or too many values", () => {
    refuses(frame(0x01, "01 c7 00 10"), /1 bytes: 0 are left/);
    refuses(frame(0x01, "01 d5 10 01 02"), /extension: 1 bytes too many$/);
    refuses(frame(0x01, "01 d5 21 c0 a0"), /1 bytes: 0 are left/);
    refuses(frame(0x01, "01 d6 21 c0 a0 c0 c0"), /extension: 1 bytes too many$/);
    // The array inside must not reach out of its extension.
    refuses(frame(0x01, "01 d4 10 91 00"), /1 values: 0 bytes/);
  });

  it("refuses messages with one value too few or too many", () => {
    for (const [index, { hex: recorded }] of frames.entries()) {
      const [head, ...rest] = bytes(recorded);
      const headerSize = head === 0xc8 ? 4 : head === 0xc7 ? 3 : 2;
      const payload = Uint8Array.from([head!, ...rest]).subarray(headerSize);
      const values = decodeValues(payload);
      const { type } = messages[index]!;
      const more = encodeExtension(type, concat([payload, Uint8Array.of(0xc0)]));
      assert.throws(() => read(more), ProtocolError);
      const last = encodeValues(values.slice(0, -1));
      assert.throws(() => read(encodeExtension(type, last)), ProtocolError);
    }
  });

  it("refuses values in the wrong place", () => {
    refuses(frame(0x01, "a1 61 00"), /id is no unsigned integer$/);
    refuses(frame(0x01, "ff 00"), /id is no unsigned integer$/);
    refuses(frame(0x01, "cb 3ff8000000000000 00"), /id is no unsigned integer$/);
    refuses(frame(0x11, "c0"), /object name: it is no Symbol/);
    refuses(frame(0x03, "01 a1 61"), /Error: it holds no exception$/);
    refuses(frame(0x03, "01 d6 21 07 a1 61 c0"), /class is no String/);
    refuses(frame(0x03, "01 c7 03 21 c0 07 c0"), /message is no String/);
    refuses(frame(0x02, "01 00"), /Yield: it holds no array$/);
    refuses(frame(0x00, "01 d4 20 61 00 00 c2"), /has no name$/);
    refuses(frame(0x00, "01 d4 20 61 01 07 00 c2"), /has no name$/);
    refuses(frame(0x00, "01 d4 20 61 01 d4 20 62 01 07 07 c2"), /has no name$/);
  });

  it("takes method names as text, and nil for no block, as Ruby does", () => {
    const expected = receivedMessage(invoke(1, symbol("a"), "keys"));
    const payloads = ["a4 6b657973 00 c2", "c4 04 6b657973 00 c2", "d6 20 6b657973 00 c0"];
    for (const payload of payloads) {
      assert.deepEqual(read(bytes(frame(0x00, `01 d4 20 61 01 ${payload}`))), [expected]);
    }
  });

  it("limits nesting over arrays, maps and extensions together", () => {
    const refused = /^Cannot read nested values: limit is 32 levels$/;
    const nested = (levels: number) => frame(0x01, `01 ${"91".repeat(levels - 1)} 90`);
    assert.equal(read(bytes(nested(32))).length, 1);
    refuses(nested(33), refused);
    refuses(nested(128), refused);
    refuses(frame(0x01, `01 ${"91".repeat(500_000)} 90`), refused);

    const maps = (levels: number) => frame(0x01, `01 ${"81 00".repeat(levels)} c0`);
    assert.equal(read(bytes(maps(32))).length, 1);
    refuses(maps(33), refused);

    // Proxies that name proxies: 30 arrays leave room for two.
    const proxies = (levels: number) => {
      let payload = encodeValues([1]);
      for (let level = 0; level < levels; level++) payload = encodeExtension(0x10, payload);
      return frame(0x01, `01 ${"91".repeat(30)} ${hex(payload)}`);
    };
    assert.equal(read(bytes(proxies(1))).length, 1);
    refuses(proxies(2), /object name/);
    refuses(proxies(3), refused);
  });

  it("limits the number of values in a frame", () => {
    const maps = (count: number) => encodeMessage(result(1, new Array(count).fill({})));
    assert.equal(read(maps(128 * 1024 - 2)).length, 1);
    assert.throws(() => read(maps(128 * 1024 - 1)), /^ProtocolError: .* limit is 131072 values$/);
  });

  it("takes other limits", () => {
    assert.throws(() => read(bytes("c7 06 01"), { frameSize: 5 }), /6 bytes: limit is 5 bytes/);
    assert.throws(() => read(bytes("d6 01 01 91 91 90"), { nesting: 2 }), /limit is 2 levels/);
  });

  it("throws nothing but ProtocolError, whatever comes", () => {
    const below = random(20);
    const originals = frames.map(({ hex: recorded }) => bytes(recorded));
    let whole = 0;
    for (let round = 0; round < 20_000; round++) {
      const mutant = [...originals[below(originals.length)]!];
      for (let changes = 1 + below(4); changes > 0; changes--) {
        const position = below(mutant.length);
        const byte = below(2) === 0 ? below(256) : [0xc1, 0xdd, 0xc9, 0xdf, 0x91, 0xff][below(6)]!;
        if (below(4) > 0) mutant[position] = byte;
        else if (below(2) === 0) mutant.splice(position, 0, byte);
        else mutant.splice(position, 1, byte);
      }
      const reader = new FrameReader();
      try {
        const cut = below(mutant.length + 1);
        for (const part of [mutant.slice(0, cut), mutant.slice(cut)]) {
          for (const message of reader.read(Uint8Array.from(part))) {
            whole++;
            plain(Object.values(message));
            // What can be read can be said again, and means the same.
            assert.deepEqual(read(encodeMessage(message)), [message]);
          }
        }
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }
    assert(whole > 1000, `only ${whole} of the mutants were messages`);
  });

  it("throws nothing but ProtocolError on noise", () => {
    const below = random(300);
    for (let round = 0; round < 5000; round++) {
      const payload = Uint8Array.from({ length: 1 + below(40) }, () => below(256));
      const type = [0, 1, 2, 3, 4, 5, 6, 0x11][below(8)]!;
      try {
        read(encodeExtension(type, payload));
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }
  });
});

describe("encodeValues() and decodeValues()", () => {
  function roundTrip(value: unknown): unknown {
    const [decoded, ...others] = decodeValues(encodeValues([value]));
    assert.equal(others.length, 0);
    return decoded;
  }

  function encoded(value: unknown): string {
    return hex(encodeValues([value]));
  }

  it("write integers in their smallest form", () => {
    const forms: [number | bigint, string][] = [
      [0, "00"],
      [127, "7f"],
      [128, "cc80"],
      [255, "ccff"],
      [256, "cd0100"],
      [65_535, "cdffff"],
      [65_536, "ce00010000"],
      [2 ** 32 - 1, "ceffffffff"],
      [2 ** 32, "cf0000000100000000"],
      [Number.MAX_SAFE_INTEGER, "cf001fffffffffffff"],
      [-1, "ff"],
      [-32, "e0"],
      [-33, "d0df"],
      [-128, "d080"],
      [-129, "d1ff7f"],
      [-32_768, "d18000"],
      [-32_769, "d2ffff7fff"],
      [-(2 ** 31), "d280000000"],
      [-(2 ** 31) - 1, "d3ffffffff7fffffff"],
      [Number.MIN_SAFE_INTEGER, "d3ffe0000000000001"],
    ];
    for (const [value, form] of forms) {
      assert.equal(encoded(value), form);
      assert.equal(encoded(BigInt(value)), form);
      assert.equal(roundTrip(value), value);
      assert.equal(roundTrip(BigInt(value)), value);
    }
  });

  it("keep integers of 64 bits exact", () => {
    for (const value of [2n ** 53n, 2n ** 64n - 1n, -(2n ** 53n), -(2n ** 63n)]) {
      assert.equal(roundTrip(value), value);
    }
    assert.equal(encoded(2n ** 64n - 1n), "cfffffffffffffffff");
    assert.equal(encoded(-(2n ** 63n)), "d38000000000000000");
  });

  it("write integers beyond 64 bits as floats", () => {
    assert.equal(roundTrip(2n ** 64n), 2 ** 64);
    assert.equal(roundTrip(-(2n ** 63n) - 1n), -(2 ** 63));
    assert.equal(encoded(2n ** 64n), "cb43f0000000000000");
  });

  it("write floats as float64", () => {
    for (const value of [0.1, -1.5, -0, 1e300, 2 ** 60, Number.NaN, -Number.POSITIVE_INFINITY]) {
      assert(Object.is(roundTrip(value), value), `${value}`);
      assert.equal(encoded(value).slice(0, 2), "cb");
    }
    assert.deepEqual(decodeValues(bytes("ca 3fc00000")), [1.5]);
  });

  it("write null and undefined as nil", () => {
    assert.equal(encoded(null), "c0");
    assert.equal(encoded(undefined), "c0");
    assert.deepEqual(roundTrip({ a: undefined }), received({ a: null }));
  });

  it("keep strings and bytes of every length", () => {
    for (const length of [0, 1, 31, 32, 255, 256, 65_535, 65_536]) {
      const text = "é".repeat(length / 2) + "x".repeat(length % 2);
      assert.equal(roundTrip(text), text);
      assert.deepEqual(roundTrip(symbol(text)), symbol(text));
      const data = new Uint8Array(length).fill(0xfe);
      assert.deepEqual(roundTrip(data), data);
    }
    assert.deepEqual(roundTrip(symbol("\u{feff}bom")), symbol("\u{feff}bom"));
  });

  it("make text well-formed, at any length", () => {
    for (const tail of ["", "x".repeat(300)]) {
      assert.equal(roundTrip(`\u{d800}${tail}`), `\u{fffd}${tail}`);
      assert.deepEqual(roundTrip(symbol(`\u{d800}${tail}`)), symbol(`\u{fffd}${tail}`));
    }
    // A lone surrogate in three bytes, as a string and as a key, where none of them is text.
    assert.deepEqual(decodeValues(bytes("a3 eda080")), ["\u{fffd}"]);
    assert.deepEqual(decodeValues(bytes("81 a3 eda080 00")), [
      received({ "\u{fffd}\u{fffd}\u{fffd}": 0 }),
    ]);
  });

  it("reads a key that ends within a character from its own bytes alone", () => {
    const key = "\u{fffd}";
    assert.deepEqual(decodeValues(bytes("81 a1 e0 a2 73 65")), [received({ [key]: "se" })]);
    assert.deepEqual(decodeValues(bytes("81 a1 e0 01")), [received({ [key]: 1 })]);
  });

  it("keep arrays and maps of every length", () => {
    for (const length of [0, 1, 15, 16, 65_535]) {
      const array = Array.from({ length }, (_, index) => index);
      assert.deepEqual(roundTrip(array), array);
      const entries = array.map((index): [string, number] => [`key ${index}`, index]);
      const expected = { __proto__: null, ...Object.fromEntries(entries) };
      assert.deepEqual(roundTrip(new Map(entries)), expected);
    }
    const long = Array.from({ length: 65_536 }, (_, index) => index);
    assert.deepEqual(roundTrip(long), long);
    const map = encodeValues([new Map(long.map((index) => [index, index]))]);
    assert.equal(hex(map.subarray(0, 5)), "df00010000");
    assert.deepEqual(decodeValues(bytes("df 00000001 07 08")), [received({ 7: 8 })]);
  });

  it("keep Ruby's own values", () => {
    const values = [
      symbol("web"),
      new RubyClass("Integer"),
      new ObjectReference(symbol("worker")),
      new ObjectReference("worker", true),
      new ObjectReference(860),
      new RemoteException(null, "anonymous", null),
      new RemoteException("NameError", "Object not found: a", ["a.rb:1", "b.rb:2"]),
      [new RemoteException("RuntimeError", "in an array")],
    ];
    for (const value of values) assert.deepEqual(roundTrip(value), value);
  });

  it("give map keys as text", () => {
    const map = new Map<unknown, unknown>([
      [symbol("a"), 1],
      ["b", 2],
      [3, 3],
      [new TextEncoder().encode("d"), 4],
      [null, 5],
      [2n ** 60n, 6],
      ["constructor", 7],
    ]);
    assert.deepEqual(roundTrip(map), {
      __proto__: null,
      a: 1,
      b: 2,
      3: 3,
      d: 4,
      null: 5,
      "1152921504606846976": 6,
      constructor: 7,
    });
  });

  it("give maps without a prototype", () => {
    assert.equal((roundTrip({}) as object).toString, undefined);
  });

  it("refuse map keys that no text stands for", () => {
    for (const key of ["__proto__", symbol("__proto__"), [], { toString: 1 }, new Map()]) {
      assert.throws(() => roundTrip(new Map([[key, 1]])), ProtocolError);
    }
  });

  it("refuse to send what Ruby has no word for", () => {
    for (const value of [() => {}, Symbol("a"), new Date(0), new Error("a"), new Set()]) {
      assert.throws(() => encodeValues([[value]]), TypeError);
    }
    assert.throws(
      () => encodeValues([new Date(0)]),
      /^TypeError: Cannot send a Date over the bus$/,
    );
  });

  it("refuse to send what a peer would not read", () => {
    const circle: unknown[] = [];
    circle.push(circle);
    assert.throws(() => encodeValues([circle]), /^RangeError: Cannot send nested values/);
    let deep: unknown = new ObjectReference(1);
    for (let level = 0; level < 31; level++) deep = [deep];
    assert.deepEqual(roundTrip(deep), deep);
    assert.throws(() => encodeValues([[deep]]), RangeError);
  });
});

describe("messages", () => {
  it("that Ruby never sends survive too", () => {
    for (const message of [
      close(1, [1]),
      failure(1, "A", "b", null),
      failure(1, "A", "b", ["c"]),
    ]) {
      assert.deepEqual(read(encodeMessage(message)), [message]);
    }
  });

  it("carry options by name", () => {
    const message = invoke(1, symbol("a"), "b", [[1], "c"], {
      d: [2],
      constructor: 3,
      e: symbols({}),
    });
    assert.deepEqual(read(encodeMessage(message)), [receivedMessage(message)]);
    const [decoded] = read(encodeMessage(invoke(1, symbol("a"), "b")));
    assert.equal(Object.getPrototypeOf((decoded as { options: object }).options), null);
  });

  it("have a type", () => {
    assert.equal(read(bytes("d5 01 01 01"))[0]?.type, RETURN);
  });
});

describe("plain()", () => {
  it("takes the Ruby out of a received value", () => {
    const value = received({
      name: symbol("web"),
      type: new RubyClass("Integer"),
      text: new TextEncoder().encode("é"),
      data: Uint8Array.of(0xff),
      list: [symbol("a"), { b: symbol("c") }, 1, null, 2n ** 60n],
      reference: new ObjectReference(1),
    });
    assert.deepEqual(
      plain(value),
      received({
        name: "web",
        type: "Integer",
        text: "é",
        data: Uint8Array.of(0xff),
        list: ["a", { b: "c" }, 1, null, 2n ** 60n],
        reference: new ObjectReference(1),
      }),
    );
  });
});
