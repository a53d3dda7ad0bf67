import { Cells } from "./cells.ts";
import { decode, encode } from "./encoding.ts";
import { identityOf } from "./holder.ts";
import { type Logger, stderrLogger } from "./log.ts";
import { type MappableFile, openFile } from "./mapping/index.ts";
import type { MappingName } from "./mapping/name.ts";
import { type Field, type Schema, sizeOf } from "./schema.ts";
import { SegmentImage } from "./segment_image.ts";

/** How often changes are written without a mapping, unless it is said. */
export const FLUSH_MS = 100;

export interface ObserverOptions<Name extends string = string> {
  /** The shared file. */
  readonly path: string;
  /** The size of the segment, in bytes. */
  readonly size: number;
  /** Where the segment starts, in bytes. */
  readonly offset: number;
  readonly schema: Schema<Name>;
  /** Forces one way of mapping. */
  readonly mapping?: MappingName | undefined;
  /** What {@link identityOf} says of the right file; any file is right by default. */
  readonly identity?: string | undefined;
  /** User ids that the file may belong to. Default: the user of this process, and root. */
  readonly owners?: readonly number[] | undefined;
  /** Without a mapping: how often changes are written, in milliseconds. Default: 100. */
  readonly flushMs?: number | undefined;
  readonly log?: Logger | undefined;
}

/** There is a file at the path, but not the one that was meant. */
export class DifferentFileError extends Error {
  override readonly name: string = "DifferentFileError";
}

/**
 * A worker's own segment of the shared file. Metrics of a registry that is attached to it live in
 * there; `write` and `read` reach a field by name.
 */
export class Observer<Name extends string = string> {
  readonly schema: Schema<Name>;
  /** How the segment is mapped. With `"none"`, changes reach the file at the next flush. */
  readonly mapping: MappingName;
  /** One sentence: why `mapping` is what it is. */
  readonly mappingReason: string;

  readonly #file: MappableFile;
  /** The mapping, null after it has ended or if there is none. */
  #view: Uint8Array | null;
  readonly #image: SegmentImage | null;
  #cells: Cells;
  #holders = 0;
  #closed = false;

  private constructor(file: MappableFile, options: ObserverOptions<Name>) {
    const { offset, size, flushMs = FLUSH_MS, log = stderrLogger } = options;
    this.schema = options.schema;
    this.#file = file;
    const [view, reason] = mapSegment(file, options, log);
    this.#view = view;
    this.#image = view === null ? new SegmentImage(file, offset, size, flushMs, log) : null;
    this.#cells = new Cells(view ?? this.#image!.bytes);
    this.mapping = view === null ? "none" : file.mapping;
    this.mappingReason = reason;
    if (view !== null) file.close();
  }

  /**
   * Opens a segment, if the file can be trusted with it: a regular file, not a symbolic link, with
   * one name, of an allowed owner, and large enough. Throws a RangeError where size or offset do
   * not fit, an Error for the rest, and what `open` throws.
   */
  static open<Name extends string>(options: ObserverOptions<Name>): Observer<Name> {
    const { path, offset, size, schema } = options;
    const what = `Cannot observe segment at offset ${offset}`;
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new RangeError(`${what}: not a whole number of bytes`);
    }
    if (!Number.isSafeInteger(size) || size < 1) {
      throw new RangeError(`${what}: its size, ${size}, is not a positive number of bytes`);
    }
    if (schema.size > size) {
      throw new RangeError(`${what}: schema takes ${schema.size} bytes, segment is ${size} bytes`);
    }
    const file = openFile(path, { write: true, mapping: options.mapping });
    try {
      const owners = options.owners ?? [process.geteuid?.() ?? 0, 0];
      const status = file.status();
      const { identity = identityOf(status) } = options;
      if (identity !== identityOf(status)) {
        throw new DifferentFileError(
          `${what}: "${path}" is a different file than the supervisor's`,
        );
      }
      if (!status.isFile) throw new Error(`${what}: "${path}" is not a regular file`);
      if (status.linkCount !== 1) {
        throw new Error(`${what}: file has ${status.linkCount} links, it must have 1`);
      }
      if (!owners.includes(status.ownerId)) {
        throw new Error(
          `${what}: file belongs to user ${status.ownerId}, not to ${owners.join(", ")}`,
        );
      }
      if (offset + size > status.size) {
        throw new RangeError(`${what}: file is ${status.size} bytes`);
      }
      return new Observer(file, options);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /**
   * Writes a field by the rules of Ruby's `IO::Buffer#set_value`: integers of up to 32 bits wrap,
   * fractions are dropped, what goes further is a RangeError, what is no number a TypeError. After
   * an error the field has its old value. Metrics have gentler rules.
   */
  write(name: Name, value: number | bigint): void {
    const { type, offset } = this.#field(name);
    const bytes = encode(type, value);
    // One store where the offset allows it: nobody may read half a value.
    if (offset % bytes.length === 0) this.#cells.copy(new Cells(bytes), 0, offset, bytes.length);
    else this.#cells.bytes.set(bytes, offset);
  }

  /** The value of a field as it is in memory: a bigint for 64-bit integers, else a number. */
  read(name: Name): number | bigint {
    const { type, offset } = this.#field(name);
    return decode(type, this.#cells.bytes.subarray(offset, offset + sizeOf(type)));
  }

  /**
   * Moves the heartbeat: that the event loop runs is seen by that. Returns false where the segment
   * has no room for it behind the fields.
   *
   * @internal
   */
  beat(): boolean {
    const words = this.#cells.view(Uint32Array);
    const index = this.schema.heartbeatOffset / 4;
    if (index >= words.length) return false;
    words[index] = words[index]! + 1;
    return true;
  }

  /** Without a mapping: writes changes to the file, now. An error is logged, not thrown. */
  flush(): void {
    this.#image?.flush();
  }

  /**
   * Writes what is left to write and lets go of the file. Metrics that are still attached go on
   * counting in this memory; it is unmapped when the last registry has left.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#image?.close();
    this.#unmapIfUnused();
  }

  /**
   * The memory of the segment, for a registry that moves in. It must call `release` after it has
   * moved out, and keep nothing of it.
   *
   * @internal
   */
  acquire(): Cells {
    if (this.#closed) throw new Error("Cannot attach to an observer that is closed");
    this.#holders++;
    return this.#cells;
  }

  /** @internal */
  release(): void {
    this.#holders--;
    this.#unmapIfUnused();
  }

  #unmapIfUnused(): void {
    if (!this.#closed || this.#holders > 0 || this.#view === null) return;
    this.#file.unmap(this.#view);
    this.#view = null;
    // Drop the views too: where unmapping is the collector's work, nothing else may hold them.
    this.#cells = Cells.allocate(0);
  }

  #field(name: Name): Field {
    if (this.#closed) throw new Error(`Cannot access field "${name}": the observer is closed`);
    const field = this.schema.field(name);
    if (field === undefined)
      throw new RangeError(`Cannot access field "${name}": not in the schema`);
    return field;
  }
}

/** A view of the segment, or null if it needs an image; and why. */
function mapSegment(
  file: MappableFile,
  { offset, size, mapping }: ObserverOptions,
  log: Logger,
): [Uint8Array | null, string] {
  if (offset % 8 !== 0) return [null, `offset ${offset} of the segment is not a multiple of 8`];
  try {
    return [file.map(offset, size), file.mappingReason];
  } catch (error) {
    // A file system without mapping, or a limit on address space. An image still works.
    if (mapping !== undefined) throw error;
    log.warn("Falling back to writing the segment from time to time:", error);
    return [null, (error as Error).message];
  }
}
