// The file that holds the segments, as its owner sees it: create, grow, zero, read.

import { lstatSync, unlinkSync } from "node:fs";
import { type MappableFile, type MappingName, openFile } from "./mapping/index.ts";

export interface SharedFileOptions {
  /** Bytes at first: any size. */
  size: number;
  /** Permission bits of the new file; 0600 by default, whatever the umask. */
  mode?: number;
  /** Forces one way of mapping. */
  mapping?: MappingName | undefined;
}

/** What {@link SharedFile.view} found: the two arrays cover the same bytes. */
export interface FileView {
  readonly bytes: Uint8Array;
  /** The same, as whole words; a last incomplete word is left out. */
  readonly words: BigInt64Array;
}

/**
 * A file created by its owner and shared with workers that map it. It only grows: shrinking it
 * would kill them with SIGBUS. An older file of that name is unlinked first, so that the workers
 * of an earlier owner keep their inode.
 */
export class SharedFile {
  readonly path: string;
  /** Identity of the file, to find it in other processes' mappings. */
  readonly inode: bigint;
  /** For what is written: segments before they are handed out. */
  readonly #writer: MappableFile;
  /** For what is read and mapped: a stray store cannot touch what workers write. */
  readonly #reader: MappableFile;
  #size: number;
  #view: FileView | null = null;
  /** Without a mapping: the last bytes read. */
  #image: FileView | null = null;
  #shrunk = false;

  /**
   * @throws {Error} when the path is a directory or cannot be created, with the system's code.
   */
  constructor(path: string, options: SharedFileOptions) {
    removeOld(path);
    this.path = path;
    this.#size = options.size;
    const { mode = 0o600, mapping } = options;
    this.#writer = openFile(path, { write: true, create: mode, mapping });
    try {
      this.#writer.resize(options.size);
      this.#reader = openFile(path, { write: false, mapping });
      this.inode = this.#reader.status().inode;
    } catch (error) {
      this.#writer.close();
      throw error;
    }
  }

  /** Bytes, as its owner has made it. */
  get size(): number {
    return this.#size;
  }

  /** How this process sees the file: `"none"` when through file I/O. */
  get mapping(): MappingName {
    return this.#shrunk ? "none" : this.#reader.mapping;
  }

  /** One sentence: why {@link mapping} is what it is. */
  get mappingReason(): string {
    if (this.#shrunk) return "the file was truncated by somebody else, a mapping could kill us";
    return this.#reader.mappingReason;
  }

  /** Whether somebody else made the file smaller than it should be. */
  get shrunk(): boolean {
    return this.#shrunk;
  }

  /** Whether the path still leads to this file: somebody may have unlinked or replaced it. */
  get linked(): boolean {
    try {
      return BigInt(lstatSync(this.path, { bigint: true }).ino) === this.inode;
    } catch {
      return false;
    }
  }

  /** Makes the file larger; existing mappings stay valid. */
  grow(size: number): void {
    if (size <= this.#size) return;
    this.#writer.resize(size);
    this.#size = size;
    const old = this.#view;
    this.#view = null;
    if (old !== null) this.#reader.unmap(old.bytes);
  }

  /**
   * Zeroes a range by a positional write: that clears it, allocates its pages, and reports a full
   * file system as an error, where a store to a missing page would kill a worker with SIGBUS.
   */
  zero(offset: number, length: number): void {
    this.#writer.write(new Uint8Array(length), offset);
  }

  /** Overwrites a range. */
  write(source: Uint8Array, offset: number): void {
    this.#writer.write(source, offset);
  }

  /** Reads a range into `target`, and returns how many bytes there were. */
  read(target: Uint8Array, offset: number): number {
    return this.#reader.read(target, offset);
  }

  /**
   * The bytes from 0 to `length`, as they are now: live ones where the file is mapped, else a
   * copy just read. Call it before every pass: it looks at the file's size, since reading a
   * mapping of a truncated file would kill the process. Bytes that a truncated file has lost keep
   * their last value in a copy.
   */
  view(length: number): FileView {
    if (!this.#shrunk && this.#reader.mapping !== "none") {
      if (this.#reader.size() >= this.#size) return this.#mapped();
      this.#shrunk = true;
    }
    return this.#read(length);
  }

  #mapped(): FileView {
    if (this.#view !== null) return this.#view;
    const bytes = this.#reader.map(0, this.#size);
    if (bytes === null) return this.#read(this.#size);
    this.#view = viewOf(bytes);
    return this.#view;
  }

  #read(length: number): FileView {
    if (this.#image === null || this.#image.bytes.length < length) {
      const larger = viewOf(new Uint8Array((this.#size + 7) & ~7));
      if (this.#image !== null) larger.bytes.set(this.#image.bytes);
      this.#image = larger;
    }
    const count = this.#reader.read(this.#image.bytes.subarray(0, length), 0);
    if (count < length) this.#shrunk = true;
    return this.#image;
  }

  /** Closes the file. It stays in place unless `unlink` is set, and only if it is still ours. */
  close({ unlink = false }: { unlink?: boolean } = {}): void {
    if (unlink && this.linked) unlinkSync(this.path);
    const view = this.#view;
    this.#view = null;
    if (view !== null) this.#reader.unmap(view.bytes);
    this.#reader.close();
    this.#writer.close();
  }
}

function viewOf(bytes: Uint8Array): FileView {
  const { buffer, byteOffset, length } = bytes;
  return { bytes, words: new BigInt64Array(buffer, byteOffset, length >>> 3) };
}

function removeOld(path: string): void {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return;
  if (!status.isFile() && !status.isSymbolicLink()) {
    throw new Error(
      `Cannot create shared file "${path}": something that is not a file is in its place`,
    );
  }
  unlinkSync(path);
}
