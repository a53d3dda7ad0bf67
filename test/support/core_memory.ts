import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type Core, loadCore } from "../../host/core.ts";
import { projectFile } from "../data.ts";

/** In memory that the core has never used. It zeroes a block before it uses it. */
const CANARY = 0xa5;
const LINE = 64;
/** The core's static data ends below. */
const CANARIES_START = 65_536;
/** As much as is used without large tables: canaries in all of a memory would cost more than a case. */
const CANARIES_END = 1 << 20;

/** Addresses from `start` to `end`, this one not included. */
export interface Region {
  readonly start: number;
  readonly end: number;
}

/** The linear memory of a fresh core, watched from outside. */
export class WatchedMemory {
  readonly core: Core;
  #end = CANARIES_START;
  #before: Uint8Array = new Uint8Array(0);

  /** Call it before the core is used for anything. */
  constructor(core: Core) {
    this.core = core;
    core.bytes.fill(CANARY, CANARIES_START, CANARIES_END);
  }

  /** Where the memory that the core has ever used ends: its blocks are whole lines. */
  get end(): number {
    const { bytes } = this.#fresh();
    while (this.#end < CANARIES_END && !isCanaries(bytes, this.#end)) this.#end += LINE;
    return this.#end < CANARIES_END ? this.#end : bytes.length;
  }

  /** Fails if anything was written behind the memory that is in use. */
  checkCanaries(): void {
    const { bytes } = this.#fresh();
    const { end } = this;
    if (end >= CANARIES_END) return;
    const rest = Buffer.from(bytes.buffer, end, CANARIES_END - end);
    // Each byte is the one before it: canaries from the first to the last.
    const ragged = rest.length > 1 && rest.compare(rest, 1, rest.length, 0, rest.length - 1) !== 0;
    assert.ok(!ragged, "memory that was never in use was written to");
  }

  /** Remembers what is in memory. */
  remember(): void {
    this.#before = this.#fresh().bytes.slice(0, this.end);
  }

  /** Fails if anything is not as it was remembered, but for some regions. */
  checkUnchanged(allowed: readonly Region[], what: string): void {
    const { bytes } = this.#fresh();
    const now = Buffer.from(bytes.buffer);
    let from = 0;
    const sorted = [...allowed].sort((a, b) => a.start - b.start);
    for (const { start, end } of [...sorted, { start: this.#before.length, end: 0 }]) {
      const to = Math.min(start, this.#before.length);
      if (from < to && now.compare(this.#before, from, to, from, to) !== 0) {
        while (now[from] === this.#before[from]) from++;
        assert.fail(`${what} has changed the byte at ${from}`);
      }
      from = Math.max(from, end);
    }
  }

  #fresh(): Core {
    this.core.refresh();
    return this.core;
  }
}

function isCanaries(bytes: Uint8Array, line: number): boolean {
  for (let at = line; at < line + LINE; at++) if (bytes[at] !== CANARY) return false;
  return true;
}

/** The bytes of a build of the core. */
export function coreBytes(
  name: "core.wasm" | "core.simd.wasm" = "core.wasm",
): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(readFileSync(projectFile(`build/${name}`)));
}

/** A core whose memory cannot grow: whatever needs more is to be refused. */
export function cappedCore(): Core {
  // Section 5: one memory of 64 pages at least. It gets a maximum of as many.
  return loadCore(replaced(coreBytes(), "05 03 01 00 40", "05 04 01 01 40 40"));
}

/** A core that swaps the bytes of big-endian 64-bit integers wrongly. */
export function faultyCore(): Core {
  // The operand of an i64.const: a mask of the swap.
  return loadCore(
    replaced(coreBytes(), "42 ff 81 fc 87 f0 9f c0 ff 00", "42 80 81 fc 87 f0 9f c0 ff 00"),
  );
}

/** Replaces the first occurrence of some bytes. */
function replaced(source: Uint8Array, old: string, by: string): Uint8Array<ArrayBuffer> {
  const wanted = Buffer.from(old.replaceAll(" ", ""), "hex");
  const at = Buffer.from(source).indexOf(wanted);
  assert.ok(at >= 0, `${old} is in the core`);
  const head = source.subarray(0, at);
  const rest = source.subarray(at + wanted.length);
  return Uint8Array.from(Buffer.concat([head, Buffer.from(by.replaceAll(" ", ""), "hex"), rest]));
}
