// allocator.json: sequences of operations on the real SegmentAllocator.
//
// A model in a few lines says what each operation does by our rules; where Ruby's rules are ours,
// the model must agree with what was recorded, and so must our allocator.

import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Row } from "../../host/schema.ts";
import { SegmentAllocator } from "../../host/segment_allocator.ts";
import { type CheckResult, emptyResult, readGolden, runCase } from "./check.ts";

interface Operation {
  op: "allocate" | "free" | "resize" | "update_schema" | "read";
  id: number;
  new_size: number;
  schema: Row[];
  offset?: number | null;
  freed?: boolean;
  ok?: boolean;
  updated?: boolean;
  size: number;
  file_size: number;
  free_count: number;
}

interface Sequence {
  index: number;
  flavour: string;
  size: number;
  segment_size: number;
  growth_factor: number;
  start: { size: number; free: number[]; allocated: [number, number][] };
  ops: Operation[];
  end: { size: number; free: number[]; allocated: [number, number | null][] };
}

/** Flavours in which Ruby does what we do not want: see README.md beside the data. */
const DEVIATIONS: ReadonlySet<string> = new Set(["double_allocate", "unfit", "float_growth"]);
const PAGE_SIZE = 4096;

class Model {
  size: number;
  readonly free: number[] = [];
  readonly allocated: Map<number, number> = new Map();
  readonly #segmentSize: number;
  readonly #growthFactor: number;
  #segments = 0;

  constructor({ size, segment_size, growth_factor }: Sequence) {
    this.size = size;
    this.#segmentSize = segment_size;
    this.#growthFactor = growth_factor;
    this.#add();
  }

  #add(): void {
    const count = Math.floor(this.size / this.#segmentSize);
    for (; this.#segments < count; this.#segments++) {
      this.free.push(this.#segments * this.#segmentSize);
    }
  }

  resize(size: number): boolean {
    if (size <= this.size) return false;
    this.size = Math.ceil(size / PAGE_SIZE) * PAGE_SIZE;
    this.#add();
    return true;
  }

  allocate(id: number): number | null {
    if (this.allocated.has(id)) return null;
    if (this.free.length === 0) this.resize(this.size * this.#growthFactor);
    const offset = this.free.shift();
    if (offset === undefined) return null;
    this.allocated.set(id, offset);
    return offset;
  }

  release(id: number): boolean {
    const offset = this.allocated.get(id);
    if (offset === undefined) return false;
    this.allocated.delete(id);
    this.free.push(offset);
    return true;
  }
}

export function checkAllocator(directory: string): CheckResult {
  const { sequences } = readGolden<{ sequences: Sequence[] }>(directory, "allocator.json");
  const result = emptyResult();
  const folder = mkdtempSync(join(tmpdir(), "golden-allocator-"));
  try {
    for (const sequence of sequences) {
      const { flavour, index } = sequence;
      const deviates = DEVIATIONS.has(flavour);
      if (deviates) result.deviations[flavour] = (result.deviations[flavour] ?? 0) + 1;
      runCase(result, `allocator sequence ${index} (${flavour})`, () => {
        runSequence(sequence, join(folder, `${index}.shm`), !deviates);
      });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return result;
}

function runSequence(sequence: Sequence, path: string, asRecorded: boolean): void {
  const { size, segment_size: segmentSize, growth_factor: growthFactor, start, end } = sequence;
  const allocator = new SegmentAllocator(path, { size, segmentSize, growthFactor });
  const model = new Model(sequence);
  try {
    same("free segments at the start", [...allocator.available()], start.free);
    for (const [position, operation] of sequence.ops.entries()) {
      const step = `step ${position} (${operation.op})`;
      const [actual, expected, recorded] = runOperation(allocator, model, operation);
      same(`result of ${step}`, actual, expected);
      same(`size after ${step}`, allocator.size, model.size);
      same(`file size after ${step}`, statSync(path).size, model.size);
      same(`free count after ${step}`, allocator.availableCount, model.free.length);
      if (!asRecorded) continue;
      same(`recorded result of ${step}`, actual, recorded);
      same(`recorded size after ${step}`, allocator.size, operation.file_size);
      same(`recorded free count after ${step}`, allocator.availableCount, operation.free_count);
    }
    const allocated = [...model.allocated].map(([id]) => [id, allocator.allocation(id)?.offset]);
    same("allocations at the end", allocated, [...model.allocated]);
    same("free segments at the end", [...allocator.available()], model.free);
    if (!asRecorded) return;
    same("recorded free segments at the end", [...allocator.available()], end.free);
    // Ruby also records allocations that found no segment (flavour `unfit`).
    const found = end.allocated.filter(([, offset]) => offset !== null);
    same("recorded allocations at the end", allocated, found);
  } finally {
    allocator.close();
    rmSync(path, { force: true });
  }
}

/** What the allocator does, what the model says, and what was recorded. */
function runOperation(
  allocator: SegmentAllocator,
  model: Model,
  operation: Operation,
): [actual: unknown, expected: unknown, recorded: unknown] {
  const { id } = operation;
  switch (operation.op) {
    case "allocate": {
      const again = model.allocated.has(id);
      const expected = model.allocate(id);
      if (!again) return [allocator.allocate(id), expected, operation.offset];
      try {
        allocator.allocate(id);
      } catch {
        return [null, expected, operation.offset];
      }
      throw new Error(`allocating worker ${id} twice was not refused`);
    }
    case "free":
      return [allocator.free(id), model.release(id), operation.freed];
    case "resize":
      return [allocator.resize(operation.new_size), model.resize(operation.new_size), operation.ok];
    case "update_schema": {
      const updated = allocator.updateSchema(id, operation.schema);
      return [updated, model.allocated.has(id), operation.updated];
    }
    case "read":
      return [allocator.read(id), null, null];
  }
}

function same(what: string, actual: unknown, expected: unknown): void {
  if (JSON.stringify(actual) === JSON.stringify(expected)) return;
  throw new Error(`${what}: got ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
}
