// What a file that can be mapped is, and what a runtime has to bring for it.

import type { MappingName } from "./name.ts";

/** What `fstat` says about an open file. */
export interface FileStatus {
  /** In bytes. */
  readonly size: number;
  readonly inode: bigint;
  readonly device: bigint;
  /** User id of the owner. */
  readonly ownerId: number;
  /** Permission bits, without the type of the file. */
  readonly mode: number;
  /** Names that the file has: 0 once it is unlinked. */
  readonly linkCount: number;
  /** Whether it is a regular file. */
  readonly isFile: boolean;
}

/** An open file that can be read and written by position, and mapped where the runtime can. */
export interface MappableFile {
  readonly path: string;
  /** How `map()` maps. With `"none"` it returns null. */
  readonly mapping: MappingName;
  /** One sentence: why this way of mapping is the active one. */
  readonly mappingReason: string;

  status(): FileStatus;

  /** The size in bytes, cheaper than `status()`. */
  size(): number;

  /**
   * A live view of exactly these bytes; null if this file is not mapped. It stays valid after
   * `close()`. Touching it after the file has been cut shorter kills the process, so files that
   * are mapped may only grow. Writing to a view of a file opened without `write` does too.
   *
   * Throws a RangeError for a range that the file does not cover, and an Error with `errno` when
   * the system refuses.
   */
  map(offset: number, length: number): Uint8Array | null;

  /**
   * Ends the mapping behind a view that `map()` returned. Legal only when nothing uses the view,
   * or another view of its buffer, ever again: a later access may crash the process. Does nothing
   * where the runtime cannot unmap; the garbage collector then does it.
   */
  unmap(view: Uint8Array): void;

  /** Fills `target` from `position`. Returns the number of bytes: fewer only at the end of file. */
  read(target: Uint8Array, position: number): number;

  /** Writes all of `source` at `position`, growing the file as needed. Throws ENOSPC and its like. */
  write(source: Uint8Array, position: number): void;

  /** Cuts the file to `size` bytes or extends it with zeros. */
  resize(size: number): void;

  /** Closes the descriptor. Mappings stay valid. */
  close(): void;
}

export interface OpenOptions {
  readonly write: boolean;
  /** Create the file with exactly this mode, whatever the umask; it must not exist yet. */
  readonly create?: number | undefined;
  /** Force a way of mapping. Default: `UTILIZATION_MAPPING`, else the first that can be loaded. */
  readonly mapping?: MappingName | undefined;
}

/** One native way to map a file. */
export interface Mapper {
  readonly pageSize: number;
  /** The largest length of a window, and the largest offset of its start. */
  readonly limit: number;
  /** How files are opened for it, where that is not by `node:fs`. */
  readonly calls?: FileCalls;
  /** Maps a window that starts at a page. Returns the errno when the system refuses. */
  map(descriptor: number, offset: number, length: number, write: boolean): ArrayBuffer | number;
  /** Ends such a mapping, if it can. */
  unmap(window: ArrayBuffer): void;
}

/** The system calls on files, by descriptor. Each throws an Error with the system's `code`. */
export interface FileCalls {
  /** Opens a file, never through a symbolic link and never waiting for somebody. */
  open(path: string, options: OpenOptions): number;
  status(descriptor: number): FileStatus;
  size(descriptor: number): number;
  changeMode(descriptor: number, mode: number): void;
  resize(descriptor: number, size: number): void;
  /** Reads up to the length of `target`, returns how many bytes: 0 at the end of the file. */
  read(descriptor: number, target: Uint8Array, position: number): number;
  /** Writes up to the length of `source`, returns how many bytes. */
  write(descriptor: number, source: Uint8Array, position: number): number;
  close(descriptor: number): void;
}

/** The way of mapping that was chosen, and why. */
export interface Way {
  readonly mapping: MappingName;
  readonly mapper: Mapper | null;
  readonly calls: FileCalls;
  /** One sentence. */
  readonly reason: string;
}
