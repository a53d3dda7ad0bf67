// decode.json: `IO::Buffer#get_value` of each type, through SegmentAllocator.read.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RubySymbol } from "../../host/bus/values.ts";
import type { Row } from "../../host/schema.ts";
import { SegmentAllocator } from "../../host/segment_allocator.ts";
import { rowsFromWire } from "../../host/wire.ts";
import type { Value } from "../reference.ts";
import { bytesOf, type CheckResult, emptyResult, isSame, readGolden, runCase } from "./check.ts";

interface DecodeData {
  other_type_names: Record<string, unknown>;
  cases: { type: string; offset: number; hex: string; value: string; double_bits?: string }[];
  errors: { type: string; offset: number; size: number }[];
}

export function checkDecode(directory: string): CheckResult {
  const data = readGolden<DecodeData>(directory, "decode.json");
  const result = emptyResult();
  const folder = mkdtempSync(join(tmpdir(), "golden-decode-"));
  const allocators = new Map<number, SegmentAllocator>();

  /** The field of `type` at `offset` of a segment of `size` bytes, as a worker would report it. */
  function read(type: unknown, offset: number, size: number, bytes: Uint8Array): Value | undefined {
    let allocator = allocators.get(size);
    if (allocator === undefined) {
      allocator = new SegmentAllocator(join(folder, `${size}.shm`), { segmentSize: size });
      allocators.set(size, allocator);
      allocator.allocate(1);
    }
    const segment = new Uint8Array(size);
    segment.set(bytes);
    allocator.file.write(segment, 0);
    allocator.updateSchema(1, rowsFromWire([[new RubySymbol("v"), type, offset]]) as Row[]);
    return allocator.read(1, { bigint: true })?.v;
  }

  try {
    for (const { type, offset, hex, value, double_bits } of data.cases) {
      runCase(result, `decode ${type} at ${offset} of ${hex}`, () => {
        const actual = read(new RubySymbol(type), offset, 64, bytesOf(hex));
        const expected = double_bits === undefined ? BigInt(value) : floatOf(double_bits);
        if (!isSame(actual, expected)) throw new Error(`got ${actual}, recorded ${value}`);
      });
    }
    // A read that ends beyond the buffer is an error there; here the field is left out.
    for (const { type, offset, size } of data.errors) {
      runCase(result, `refuse ${type} at ${offset} of ${size} bytes`, () => {
        const actual = read(new RubySymbol(type), offset, size, new Uint8Array(size));
        if (actual !== undefined) throw new Error(`got ${actual}`);
      });
    }
    for (const name of Object.keys(data.other_type_names)) {
      runCase(result, `refuse ${name} as a type`, () => {
        const actual = read(typeOf(name), 0, 64, new Uint8Array(64));
        if (actual !== undefined) throw new Error(`got ${actual}`);
      });
    }
  } finally {
    for (const allocator of allocators.values()) allocator.close();
    rmSync(folder, { recursive: true });
  }
  return result;
}

/** The value that Ruby's `inspect` printed as `name`. */
function typeOf(name: string): unknown {
  if (name.startsWith(":")) return new RubySymbol(name.slice(1));
  return name === "nil" ? null : JSON.parse(name);
}

function floatOf(bits: string): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${bits}`));
  return view.getFloat64(0);
}
