// The segments of one shared file: who holds which, by the core's bookkeeping.

import { NONE, ROW_ACCUMULATOR, ROW_BYTES, ROW_OFFSET, ROW_TYPE, SUM } from "../assembly/layout.ts";
import { type Core, type CoreSource, loadCore } from "./core.ts";
import type { Field } from "./field.ts";
import { typeCode } from "./field_type.ts";
import type { MappingName } from "./mapping/name.ts";
import { Sampler } from "./sampler.ts";
import { parseRows, type Row } from "./schema.ts";
import { SharedFile } from "./shared_file.ts";
import type { Value } from "./value.ts";

/** File growth is in whole pages of this many bytes, the smallest page size there is. */
const PAGE_SIZE = 4096;
const LARGEST_ID = 0x7fffffff;

export interface SegmentAllocatorOptions {
  /** Bytes of the file at first; 32 768 by default, any number allowed. */
  size?: number | undefined;
  /** Bytes of a segment; 512 by default. */
  segmentSize?: number | undefined;
  /** How much larger the file becomes when no segment is free; 2 by default, at most 1 for never. */
  growthFactor?: number | undefined;
  /** The file never grows beyond this many bytes; 64 MiB by default, below 2^31. */
  maxSize?: number | undefined;
  /** How long a freed segment rests before it is handed out again; 0 by default. */
  reuseDelayMs?: number | undefined;
  /** Permission bits of the file; 0600 by default. */
  mode?: number | undefined;
  /** Forces one way of mapping. */
  mapping?: MappingName | undefined;
  /** Another source of the core than the packaged one. */
  core?: CoreSource | undefined;
  /** Milliseconds on a clock that never goes back; `performance.now` by default. */
  now?: (() => number) | undefined;
}

/** A file that another owner has left, or still has. */
export interface AdoptedFile {
  readonly inode: bigint;
  /** Byte offsets of the segments that somebody holds. */
  readonly held: ReadonlySet<number>;
  /** Only to be read. */
  readonly readOnly?: boolean;
}

/** Who holds a segment: its place in the file, and its schema once that is known. */
export interface Allocation {
  /** Index of the segment. */
  readonly segment: number;
  /** Byte offset of the segment in the file. */
  readonly offset: number;
  readonly schema: readonly Field[] | null;
}

/**
 * Hands out the segments of a file it creates, first freed first. The file grows when none is
 * free, and never shrinks. A segment is zeroed as it is handed out.
 *
 * @example
 * ```ts
 * const allocator = new SegmentAllocator("utilization.shm", { segmentSize: 512 });
 * const offset = allocator.allocate(1); // 0
 * allocator.updateSchema(1, [["requests_total", "u64", 0]]);
 * allocator.read(1); // { requests_total: 0 }
 * allocator.free(1); // true
 * allocator.close();
 * ```
 */
export class SegmentAllocator {
  readonly segmentSize: number;
  readonly growthFactor: number;
  readonly maxSize: number;
  readonly reuseDelayMs: number;
  /** @internal */
  readonly core: Core;
  /** @internal */
  readonly file: SharedFile;
  /** @internal */
  readonly sampler: Sampler;
  readonly now: () => number;
  /** Bytes from the start of the file that have ever been handed out. */
  #used = 0;
  readonly #schemas: Map<number, readonly Field[]> = new Map();
  /** The core wants an accumulator for every field; reads of one worker share this one. */
  readonly #scratch: number;

  /**
   * @throws {RangeError} when a size is out of range.
   * @throws {Error} when the file cannot be created.
   */
  constructor(
    path: string = "utilization.shm",
    options: SegmentAllocatorOptions = {},
    adopted?: AdoptedFile,
  ) {
    const { size = 32_768, segmentSize = 512, growthFactor = 2, maxSize = 64 << 20 } = options;
    requireInteger("segment size", segmentSize, 1, 1 << 30);
    requireInteger("maximum size", maxSize, 1, LARGEST_ID);
    requireInteger("size", size, 1, maxSize);
    if (!(growthFactor >= 0 && growthFactor < Number.POSITIVE_INFINITY)) {
      throw new RangeError(
        `Cannot allocate segments with growth factor ${growthFactor}: must be 0 or more`,
      );
    }
    this.segmentSize = segmentSize;
    this.growthFactor = growthFactor;
    this.maxSize = maxSize;
    this.reuseDelayMs = options.reuseDelayMs ?? 0;
    this.now = options.now ?? (() => performance.now());
    this.core = loadCore(options.core);
    this.core.checked(this.core.exports.init(segmentSize), "set the segment size");
    this.#scratch = this.core.checked(this.core.exports.accumulator(SUM), "add an accumulator");
    this.file = new SharedFile(path, {
      size,
      mode: options.mode ?? 0o600,
      mapping: options.mapping,
      adopt: adopted?.inode,
      readOnly: adopted?.readOnly,
    });
    this.sampler = new Sampler(this.core, this.file, segmentSize);
    try {
      this.#addSegments();
      if (adopted !== undefined) this.#adopt(adopted.held);
    } catch (error) {
      this.file.close();
      throw error;
    }
  }

  /** Holds these segments, each for an id that no worker has; the others are free. */
  #adopt(held: ReadonlySet<number>): void {
    const { exports } = this.core;
    const free: number[] = [];
    for (const offset of held) this.#used = Math.max(this.#used, offset + this.segmentSize);
    for (let offset = 0; offset < this.#used; offset += this.segmentSize) {
      const segment = exports.allocate(adoptedId(offset / this.segmentSize), this.now());
      this.core.checked(segment, `adopt the segment at offset ${offset}`);
      if (!held.has(offset)) free.push(segment);
    }
    for (const segment of free) exports.free(segment, this.now() + this.reuseDelayMs);
  }

  /** Bytes of the file. */
  get size(): number {
    return this.file.size;
  }

  /** How many segments are free, those that rest included. */
  get availableCount(): number {
    return this.core.exports.available();
  }

  /** How many segments the file has. */
  get segmentCount(): number {
    return this.core.exports.capacity();
  }

  /** Bytes from the start of the file that have ever been handed out. */
  get usedSize(): number {
    return this.#used;
  }

  /** Byte offsets of the free segments, in the order in which they will be handed out. */
  *available(): Generator<number> {
    const { exports } = this.core;
    for (let segment = exports.next(NONE); segment !== NONE; segment = exports.next(segment)) {
      yield segment * this.segmentSize;
    }
  }

  /**
   * Hands a zeroed segment to `id`, and returns its byte offset; null when the file is full.
   *
   * @throws {Error} when `id` holds a segment already.
   * @throws {Error} the system's (ENOSPC, …) when the file cannot grow or be written; nothing is
   * handed out then.
   */
  allocate(id: number): number | null {
    requireInteger("worker id", id, 0, LARGEST_ID);
    const { exports } = this.core;
    if (exports.find(id) !== NONE) {
      throw new Error(`Cannot allocate a segment for worker ${id}: it holds one already`);
    }
    let segment = exports.allocate(id, this.now());
    if (segment === NONE) {
      this.resize(Math.min(this.size * this.growthFactor, wholePages(this.maxSize, Math.floor)));
      segment = exports.allocate(id, this.now());
      if (segment === NONE) return null;
    }
    this.core.checked(segment, `allocate a segment for worker ${id}`);
    const offset = segment * this.segmentSize;
    try {
      this.file.zero(offset, this.segmentSize);
    } catch (error) {
      exports.free(segment, 0);
      throw error;
    }
    this.#used = Math.max(this.#used, offset + this.segmentSize);
    return offset;
  }

  /** Takes the segment back from `id`; false when it holds none. */
  free(id: number): boolean {
    const { exports } = this.core;
    const segment = exports.find(id);
    if (segment === NONE) return false;
    this.#schemas.delete(id);
    this.core.checked(exports.free(segment, this.now() + this.reuseDelayMs), "free a segment");
    return true;
  }

  /** What `id` holds; null when nothing. */
  allocation(id: number): Allocation | null {
    const segment = this.core.exports.find(id);
    if (segment === NONE) return null;
    return { segment, offset: segment * this.segmentSize, schema: this.#schemas.get(id) ?? null };
  }

  /**
   * Says which fields the segment of `id` has; false when it holds none. Rows that no segment can
   * have (an unknown type, bytes outside the segment) are left out.
   */
  updateSchema(id: number, rows: readonly Row[]): boolean {
    if (this.core.exports.find(id) === NONE) return false;
    this.#schemas.set(id, parseRows(rows, this.segmentSize)?.fields ?? []);
    return true;
  }

  /**
   * The values in the segment of `id` by field name; null when it holds none or has no schema.
   * Integers beyond 2^53 are rounded unless `bigint` is set: then every integer is a bigint.
   */
  read(id: number, { bigint = false }: { bigint?: boolean } = {}): Record<string, Value> | null {
    const allocation = this.allocation(id);
    if (allocation?.schema == null) return null;
    const group = this.compile(allocation.schema, () => this.#scratch);
    const values = this.decode(group, allocation.offset, allocation.schema, bigint);
    this.core.checked(this.core.exports.dissolve(group), "dissolve a group");
    return values;
  }

  /**
   * Compiles fields into a group of the core, each with the accumulator that is named for it.
   *
   * @internal
   */
  compile(fields: readonly Field[], accumulatorOf: (field: Field) => number): number {
    const { core } = this;
    const { exports } = core;
    const rows = core.checked(exports.rows(fields.length), "make room for a schema");
    fields.forEach((field, index) => {
      const row = rows + index * ROW_BYTES;
      core.int32[(row + ROW_TYPE) >>> 2] = typeCode(field.type);
      core.int32[(row + ROW_OFFSET) >>> 2] = field.offset;
      core.int32[(row + ROW_ACCUMULATOR) >>> 2] = accumulatorOf(field);
    });
    return core.checked(exports.group(fields.length), "compile a schema");
  }

  /**
   * The values of one segment by field name, decoded by a group of these `fields`.
   *
   * @internal
   */
  decode(
    group: number,
    offset: number,
    fields: readonly Field[],
    bigint: boolean,
  ): Record<string, Value> {
    this.sampler.stageSegment(group, offset);
    return this.decodeStaged(group, fields, bigint);
  }

  /**
   * The values of the row in the stage.
   *
   * @internal
   */
  decodeStaged(group: number, fields: readonly Field[], bigint: boolean): Record<string, Value> {
    this.core.exports.decode(group);
    const values: Record<string, Value> = Object.create(null);
    fields.forEach((field, index) => {
      values[field.name] = this.sampler.result(index, bigint)!;
    });
    return values;
  }

  /**
   * Makes the file at least `size` bytes, in whole pages; false when it is that large already or
   * `maxSize` does not allow it.
   */
  resize(size: number): boolean {
    const wanted = wholePages(size, Math.ceil);
    if (!(size > this.size) || wanted > this.maxSize) return false;
    this.file.grow(wanted);
    this.#addSegments();
    return true;
  }

  #addSegments(): void {
    const count = Math.floor(this.size / this.segmentSize);
    this.core.checked(this.core.exports.grow(count), `make room for ${count} segments`);
  }

  /** Closes the file and, with `unlink`, removes it. */
  close(options: { unlink?: boolean } = {}): void {
    this.file.close(options);
  }
}

/** Ids from the top: workers count from 1. */
function adoptedId(segment: number): number {
  return LARGEST_ID - segment;
}

function wholePages(bytes: number, round: (pages: number) => number): number {
  return round(bytes / PAGE_SIZE) * PAGE_SIZE;
}

function requireInteger(what: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(
      `Cannot use ${what} ${value}: must be an integer from ${least} to ${most}`,
    );
  }
}
