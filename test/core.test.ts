import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { describe, it } from "node:test";
import * as layout from "../assembly/layout.ts";
import type { instantiate } from "../build/core.d.ts";
import { type CoreExports, type CoreSource, loadCore } from "../host/core.ts";
import { projectFile } from "./data.ts";
import { fixturePath } from "./support/child.ts";
import { randomFrom } from "./support/random.ts";
import { isDeno } from "./support/runtime.ts";

const wasm = projectFile("build/core.wasm");
const simd = projectFile("build/core.simd.wasm");

describe("core.simd.wasm", () => {
  const module = new WebAssembly.Module(readFileSync(simd));

  it("imports and exports what core.wasm does", () => {
    const reference = new WebAssembly.Module(readFileSync(wasm));
    assert.deepEqual(WebAssembly.Module.imports(module), []);
    const exportsOf = (one: WebAssembly.Module) => WebAssembly.Module.exports(one);
    assert.deepEqual(exportsOf(module), exportsOf(reference));
  });
});

describe("core.wasm", () => {
  const module = new WebAssembly.Module(readFileSync(wasm));

  it("imports nothing", () => {
    assert.deepEqual(WebAssembly.Module.imports(module), []);
  });

  it("has no start function", () => {
    assert.equal(sectionOf(readFileSync(wasm), 8), undefined);
    assert.notEqual(sectionOf(readFileSync(wasm), 7), undefined, "the export section is found");
  });

  it("is at most 10 KB", () => {
    assert.ok(statSync(wasm).size <= 10_000, `${statSync(wasm).size} bytes`);
  });

  it("exports functions of i32 and f64 with one-word names", () => {
    for (const { name, kind } of WebAssembly.Module.exports(module)) {
      if (kind === "function") assert.match(name, /^[a-z]+$/);
    }
    assert.ok(!typesOf(readFileSync(wasm)).includes(0x7e), "an i64 in a signature");
  });

  it("exports each constant of the layout", () => {
    const { exports } = new WebAssembly.Instance(module, {});
    for (const [name, value] of Object.entries(layout)) {
      assert.equal((exports[name] as WebAssembly.Global).value, value, name);
    }
  });
});

/** The payload of a section, by its id. */
function sectionOf(bytes: Uint8Array, wanted: number): Uint8Array | undefined {
  let at = 8;
  while (at < bytes.length) {
    const id = bytes[at++];
    const [size, start] = leb(bytes, at);
    if (id === wanted) return bytes.subarray(start, start + size);
    at = start + size;
  }
  return undefined;
}

/** The parameter and result types of the exported functions. */
function typesOf(bytes: Uint8Array): number[] {
  const section = sectionOf(bytes, 1)!;
  const [count, first] = leb(section, 0);
  const signatures: number[][] = [];
  let at = first;
  for (let i = 0; i < count; i++) {
    at++; // 0x60: a function type
    const types: number[] = [];
    for (let part = 0; part < 2; part++) {
      const [length, start] = leb(section, at);
      types.push(...section.subarray(start, start + length));
      at = start + length;
    }
    signatures.push(types);
  }
  const functions = sectionOf(bytes, 3)!;
  const indices: number[] = [];
  for (let [n, next] = leb(functions, 0), i = 0; i < n; i++) {
    const [index, after] = leb(functions, next);
    indices.push(index);
    next = after;
  }
  const used: number[] = [];
  const exported = sectionOf(bytes, 7)!;
  for (let [n, next] = leb(exported, 0), i = 0; i < n; i++) {
    const [length, name] = leb(exported, next);
    const kind = exported[name + length];
    const [index, after] = leb(exported, name + length + 1);
    if (kind === 0) used.push(...signatures[indices[index]!]!);
    next = after;
  }
  return used;
}

function leb(bytes: Uint8Array, start: number): [value: number, next: number] {
  let value = 0;
  for (let at = start, shift = 0; ; at++, shift += 7) {
    value |= (bytes[at]! & 0x7f) << shift;
    if (bytes[at]! < 0x80) return [value, at + 1];
  }
}

/** What the compiler of the core says about it, with the memory as we declare it. */
type Bindings = Awaited<ReturnType<typeof instantiate>>;
type Described = Omit<Bindings, "memory"> & Pick<CoreExports, "memory">;

describe("CoreExports", () => {
  it("are the names and signatures that the compiler wrote down", () => {
    const described: IsSame<Signatures<Described>, Signatures<CoreExports>> = true;
    const withMemory: Bindings["memory"] extends CoreExports["memory"] ? true : false = true;
    assert.ok(described && withMemory);
  });

  it("would not be, with a parameter more or a name less", () => {
    type More = Omit<CoreExports, "next"> & { next(segment: number, by: number): number };
    const more: IsSame<Signatures<More>, Signatures<CoreExports>> = false;
    const less: IsSame<Signatures<Omit<CoreExports, "next">>, Signatures<CoreExports>> = false;
    assert.ok(!more && !less);
  });
});

/** By parameters and result: functions with fewer parameters could be assigned. */
type Signatures<Exports> = {
  [Name in keyof Exports]: Exports[Name] extends (...values: infer Values) => infer Result
    ? { values: Values; result: Result }
    : Exports[Name] extends { readonly value: infer Value }
      ? { value: Value }
      : Exports[Name];
};
type IsSame<One, Other> = [One, Other] extends [Other, One] ? true : false;

describe("loadCore()", () => {
  it("takes bytes, a module or a URL", () => {
    const bytes = readFileSync(wasm);
    for (const source of [undefined, bytes, new WebAssembly.Module(bytes), wasm]) {
      const { exports } = loadCore(source);
      assert.equal(exports.version(), (layout.ABI_MAJOR << 16) | layout.ABI_MINOR);
    }
  });

  it("takes neither a promise of a module nor a path", () => {
    // @ts-expect-error: the promise is to be awaited.
    const promise: CoreSource = WebAssembly.compile(readFileSync(wasm));
    // @ts-expect-error: a path is not a URL.
    const path: CoreSource = "build/core.wasm";
    for (const source of [promise, path]) assert.throws(() => loadCore(source), TypeError);
  });

  it("takes core.simd.wasm where the engine has vectors, else core.wasm", {
    skip: process.arch !== "x64" && "vectors cannot be turned off here",
  }, () => {
    const run = (...flags: readonly string[]): unknown => {
      const v8 = isDeno ? ["run", "-A", ...flags.map((flag) => `--v8-flags=${flag}`)] : flags;
      const command = [...v8, fixturePath("core_process")];
      return JSON.parse(execFileSync(process.execPath, command, { encoding: "utf8" }));
    };
    assert.deepEqual(run("--no-enable-sse4-1"), { vectors: false, selftest: layout.OK });
    assert.deepEqual(run(), { vectors: true, selftest: layout.OK });
  });

  it("refuses a core that was built from another layout", () => {
    const bytes = Uint8Array.from(readFileSync(wasm));
    // The constant SEGMENT_BYTES is renamed, as if the core did not know it.
    const at = Buffer.from(bytes).indexOf("SEGMENT_BYTES");
    bytes[at] = "X".charCodeAt(0);
    assert.throws(() => loadCore(bytes), /SEGMENT_BYTES is undefined there and 32 here/);
  });
});

describe("selftest()", () => {
  it("holds on a fresh instance, once", () => {
    const { exports } = loadCore();
    assert.equal(exports.selftest(), layout.OK);
    assert.equal(exports.selftest(), layout.BAD_ARGUMENT);
    assert.equal(exports.init(64), layout.BAD_ARGUMENT, "the instance is spent");
  });

  it("is refused after init, and nothing changes", () => {
    const { exports } = loadCore();
    exports.init(64);
    exports.grow(2);
    assert.equal(exports.selftest(), layout.BAD_ARGUMENT);
    assert.equal(exports.available(), 2);
    assert.equal(exports.accumulator(layout.SUM), 0);
  });

  it("fails on a core that swaps bytes wrongly or forgets a carry", () => {
    const bytes = readFileSync(wasm);
    const code = sectionOf(bytes, 10)!;
    const start = code.byteOffset - bytes.byteOffset;
    const damages = [
      // The masks of a 64-bit swap, as operands of i64.const.
      ["42 ff81fc87f09fc0ff00", "42 8081fc87f09fc0ff00"],
      ["42 ffff8380f0ff3f", "42 80ff8380f0ff3f"],
      // A carry is i64.lt_u or i64.gt_u, then i64.extend_i32_u: it becomes i64.eq.
      ["54 ad", "51 ad"],
      ["56 ad", "51 ad"],
    ].map((pair) => pair.map((hex) => Buffer.from(hex.replace(" ", ""), "hex")));
    for (const [sound, damaged] of damages) {
      let damagedCount = 0;
      for (let at = -1; ; damagedCount++) {
        at = Buffer.from(code).indexOf(sound!, at + 1);
        if (at < 0) break;
        const mutant = Uint8Array.from(bytes);
        mutant.set(damaged!, start + at);
        assert.ok(loadCore(mutant).exports.selftest() > 0, `${sound!.toString("hex")} at ${at}`);
      }
      assert.ok(damagedCount > 0, `${sound!.toString("hex")} is in the core`);
    }
  });
});

describe("segments in the core", () => {
  it("agree with a model under random allocation, release and growth", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = randomFrom(seed);
      const core = loadCore();
      const { exports } = core;
      assert.equal(exports.init(64), layout.OK);
      const free: number[] = [];
      const held = new Map<number, number>();
      let count = 0;
      for (let step = 0; step < 2000; step++) {
        const worker = Math.floor(random() * 300);
        const choice = random();
        if (choice < 0.02) {
          const more = count + Math.floor(random() * 40);
          assert.equal(exports.grow(more), layout.OK);
          for (; count < more; count++) free.push(count);
        } else if (choice < 0.6) {
          const expected = held.has(worker) ? layout.BAD_ARGUMENT : (free.shift() ?? layout.NONE);
          assert.equal(exports.allocate(worker, 0), expected);
          if (expected >= 0) held.set(worker, expected);
        } else {
          const segment = held.get(worker);
          assert.equal(exports.find(worker), segment ?? layout.NONE);
          if (segment !== undefined) {
            assert.equal(exports.free(segment, 0), layout.OK);
            assert.equal(exports.free(segment, 0), layout.BAD_ARGUMENT, "freed twice");
            held.delete(worker);
            free.push(segment);
          }
        }
        assert.equal(exports.available(), free.length);
      }
      const order: number[] = [];
      for (let s = exports.next(layout.NONE); s !== layout.NONE; s = exports.next(s)) order.push(s);
      assert.deepEqual(order, free);
    }
  });

  it("are refused where their table would not fit, and nothing changes", () => {
    const { exports } = loadCore();
    exports.init(8);
    exports.grow(16);
    // 2^27 + 1 records of 32 bytes: 32 in 32-bit arithmetic.
    assert.equal(exports.grow(2 ** 27 + 1), layout.OUT_OF_MEMORY);
    assert.equal(exports.capacity(), 16);
    assert.equal(exports.available(), 16);
    assert.equal(exports.allocate(1, 0), 0);
  });

  it("cool down until the moment they were freed for", () => {
    const { exports } = loadCore();
    exports.init(64);
    exports.grow(1);
    assert.equal(exports.allocate(1, 10), 0);
    assert.equal(exports.free(0, 20), layout.OK);
    assert.equal(exports.allocate(2, 19.5), layout.NONE);
    assert.equal(exports.available(), 1);
    assert.equal(exports.allocate(2, 20), 0);
  });

  for (const [how, rest] of Object.entries({
    "all the same time": () => 100,
    "or not at all": (random: () => number) => (random() < 0.3 ? 0 : 100),
    "any time": (random: () => number) => random() * 200,
  })) {
    it(`are handed out in the order of the list where they rest, ${how}`, () => {
      for (let seed = 1; seed <= 20; seed++) {
        const random = randomFrom(seed);
        const { exports } = loadCore();
        exports.init(64);
        const free: { segment: number; moment: number }[] = [];
        const held: number[] = [];
        let count = 0;
        let now = 0;
        for (let step = 1; step <= 2000; step++) {
          now += random() * 4;
          const choice = random();
          if (choice < 0.01) {
            const more = count + Math.floor(random() * 40);
            exports.grow(more);
            for (; count < more; count++) free.push({ segment: count, moment: 0 });
          } else if (choice < 0.52) {
            const place = free.findIndex(({ moment }) => moment <= now);
            const segment = place < 0 ? layout.NONE : free.splice(place, 1)[0]!.segment;
            assert.equal(exports.allocate(step, now), segment, `seed ${seed}, step ${step}`);
            if (segment !== layout.NONE) held.push(segment);
          } else if (held.length > 0) {
            const [segment] = held.splice(Math.floor(random() * held.length), 1);
            const moment = now + rest(random);
            exports.free(segment!, moment);
            free.push({ segment: segment!, moment });
          }
        }
      }
    });
  }

  it("tell the oldest of a group, whichever of its members leave", () => {
    const random = randomFrom(7);
    const { exports } = loadCore();
    exports.init(64);
    exports.grow(500);
    exports.rows(0);
    const groups = [exports.group(0), exports.group(0)];
    const members: { segment: number; group: number; place: number }[] = [];
    let place = 0;
    for (let step = 1; step <= 4000; step++) {
      const group = groups[step % 2]!;
      if (random() < 0.5 && exports.available() > 0) {
        const segment = exports.allocate(step, 0);
        exports.attach(segment, group);
        members.push({ segment, group, place: ++place });
      } else if (members.length > 0) {
        // The oldest, the newest, or any.
        const which = [0, members.length - 1, Math.floor(random() * members.length)][step % 3]!;
        const [{ segment }] = members.splice(which, 1) as [(typeof members)[number]];
        if (random() < 0.5) exports.detach(segment);
        exports.free(segment, 0);
      }
      for (const one of groups) {
        const oldest = members.find((member) => member.group === one);
        assert.equal(exports.oldest(one), oldest?.place ?? layout.NONE, `step ${step}`);
      }
    }
  });
});

describe("the core", () => {
  it("refuses whatever is out of range, and nothing changes", () => {
    const core = loadCore();
    const { exports } = core;
    const bad = layout.BAD_ARGUMENT;
    assert.equal(exports.grow(4), bad, "before init");
    assert.equal(exports.group(0), bad, "before init");
    assert.equal(exports.init(0), bad);
    assert.equal(exports.init(64), layout.OK);
    assert.equal(exports.init(64), bad, "twice");
    assert.equal(exports.grow(4), layout.OK);
    assert.equal(exports.grow(3), bad, "smaller");
    assert.equal(exports.grow(0x7fffffff), bad, "beyond 2^31 bytes");
    assert.equal(exports.allocate(-5, 0), bad);
    for (const segment of [-1, 4, 0x7fffffff, -0x80000000]) {
      assert.equal(exports.free(segment, 0), bad);
      assert.equal(exports.detach(segment), bad);
      assert.equal(exports.attach(segment, 0), bad);
    }
    assert.equal(exports.rows(layout.MAX_FIELDS + 1), bad);
    assert.equal(exports.accumulator(layout.AGGREGATE_COUNT), bad);
    assert.equal(exports.group(1), bad, "more rows than there is room for");
    for (const group of [-1, 0, 99]) {
      assert.equal(exports.accumulate(group, layout.LIVE, 0, 0), bad);
      assert.equal(exports.decode(group), bad);
      assert.equal(exports.retire(group, 1), bad);
      assert.equal(exports.dissolve(group), bad);
      assert.equal(exports.oldest(group), layout.NONE);
    }

    const accumulator = exports.accumulator(layout.COUNTER);
    const declare = (type: number, offset: number, target: number): number => {
      const rows = exports.rows(1);
      core.refresh();
      core.int32.set([type, offset, target], rows >>> 2);
      return exports.group(1);
    };
    assert.equal(declare(layout.TYPE_COUNT, 0, accumulator), bad);
    assert.equal(declare(-1, 0, accumulator), bad);
    assert.equal(declare(layout.TYPE_U64_LE, 57, accumulator), bad);
    assert.equal(declare(layout.TYPE_U64_LE, -1, accumulator), bad, "an offset of 2^32 - 1");
    assert.equal(declare(layout.TYPE_U64_LE, 0, accumulator + 1), bad);
    const group = declare(layout.TYPE_U64_LE, 56, accumulator);
    assert.ok(group >= 0);
    assert.equal(exports.attach(0, group), bad, "a free segment");
    assert.equal(exports.allocate(7, 0), 0);
    assert.equal(exports.attach(0, group + 1), bad);
    assert.equal(exports.attach(0, group), layout.OK);
    assert.equal(exports.attach(0, group), bad, "twice");
    assert.equal(exports.dissolve(group), bad, "with a member");
    assert.equal(exports.accumulate(group, layout.LIVE, 0, 2), bad, "more rows than members");
    assert.equal(exports.accumulate(group, layout.LIVE, -1, 1), bad);
    assert.equal(exports.accumulate(group, layout.LIVE, 1, 0x7fffffff), bad);
    assert.equal(exports.accumulate(group, layout.FREE, 0, 1), bad);
    assert.equal(exports.accumulate(group, layout.DETACHED, 0, 1), bad, "no detached member");
    assert.equal(exports.accumulate(group, layout.LIVE, 0, 1), layout.OK);
  });

  it("uses its memory again: declaring and forgetting for ever does not grow it", () => {
    const core = loadCore();
    const { exports } = core;
    exports.init(512);
    exports.grow(64);
    const round = (fields: number): void => {
      const accumulators = Array.from({ length: fields }, () => exports.accumulator(layout.SUM));
      const rows = exports.rows(fields);
      core.refresh();
      accumulators.forEach((accumulator, index) => {
        const row = [layout.TYPE_U8, index % 512, accumulator];
        core.int32.set(row, (rows >>> 2) + index * 3);
      });
      const group = exports.group(fields);
      assert.ok(group >= 0);
      assert.equal(exports.dissolve(group), layout.OK);
      for (const accumulator of accumulators) assert.equal(exports.forget(accumulator), layout.OK);
    };
    for (let i = 0; i < 20; i++) round(1 + ((i * 37) % 600));
    const size = exports.memory.buffer.byteLength;
    for (let i = 0; i < 500; i++) round(1 + ((i * 37) % 600));
    assert.equal(exports.memory.buffer.byteLength, size);
  });
});
