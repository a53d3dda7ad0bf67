// The file that holds the segments, as its owner sees it: create, grow, zero, read.

import { lstatSync, unlinkSync } from "node:fs";
import { cannot, kindOf } from "./directory.ts";
import { identityOf, mappedDeviceOf } from "./holder.ts";
import { type FileStatus, type MappableFile, openFile } from "./mapping/index.ts";
import type { MappingName } from "./mapping/name.ts";

export interface SharedFileOptions {
  /** Bytes at first: any size. */
  size: number;
  /** Permission bits of the new file; 0600 by default, whatever the umask. */
  mode?: number;
  /** Forces one way of mapping. */
  mapping?: MappingName | undefined;
  /**
   * The inode of a file that is there already and shall be gone on with: it keeps what is in it,
   * and is made larger if `size` asks for it.
   */
  adopt?: bigint | undefined;
  /** With `adopt`: nothing is written, and the size is what it is. */
  readOnly?: boolean | undefined;
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
  /** To find the file in other processes' mappings. */
  readonly inode: bigint;
  /** For workers, to tell the file from others at the same path. */
  readonly identity: string;
  /** For what is written: segments before they are handed out. */
  readonly #writer: MappableFile;
  /** For what is read and mapped: a stray store cannot touch what workers write. */
  readonly #reader: MappableFile;
  #size: number;
  #view: FileView | null = null;
  /** The view of a pass that goes on. */
  #pass: FileView | null = null;
  /** Without a mapping: the last bytes read. */
  #image: FileView | null = null;
  #shrunk = false;
  /** Why the file, once it had grown, could not be mapped any more. */
  #mapError: string | null = null;
  /** Null before it was looked for. */
  #mappedDevice: { readonly name: string | undefined } | null = null;

  /**
   * @throws {Error} that says why, with the system's code, when the path is something else than a
   * file or cannot be created.
   */
  constructor(path: string, options: SharedFileOptions) {
    this.path = path;
    const { mode = 0o600, mapping, adopt, readOnly = false } = options;
    const create = adopt === undefined ? mode : undefined;
    try {
      if (adopt === undefined) removeOld(path);
      this.#writer = openFile(path, { write: !readOnly, create, mapping });
    } catch (error) {
      throw cannot(adopt === undefined ? "create shared file" : "open shared file", path, error);
    }
    try {
      const status = this.#writer.status();
      if (adopt !== undefined) checkAdopted(path, status, adopt);
      this.#size = readOnly ? status.size : Math.max(options.size, status.size);
      if (this.#size > status.size) this.#writer.resize(this.#size);
      this.#reader = openFile(path, { write: false, mapping });
      this.inode = status.inode;
      this.identity = identityOf(status);
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
    return this.#shrunk || this.#mapError !== null ? "none" : this.#reader.mapping;
  }

  /** One sentence: why {@link mapping} is what it is. */
  get mappingReason(): string {
    if (this.#shrunk) return "the file was truncated by somebody else, a mapping could kill us";
    if (this.#mapError !== null) return this.#mapError;
    return this.#reader.mappingReason;
  }

  /** Whether somebody else made the file smaller than it should be. */
  get shrunk(): boolean {
    return this.#shrunk;
  }

  /** Why the file is read although it was mapped before; null where it is not. */
  get mapError(): string | null {
    return this.#mapError;
  }

  /** The file's device as /proc shows it of processes that map it; undefined when not known. */
  get mappedDevice(): string | undefined {
    if (this.#mappedDevice === null) {
      if (this.mapping !== "none") this.#mapped();
      this.#mappedDevice = { name: mappedDeviceOf(this.inode) };
    }
    return this.#mappedDevice.name;
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
    if (this.#pass !== null) return this.#pass;
    if (this.mapping !== "none") {
      if (this.#reader.size() >= this.#size) return this.#mapped() ?? this.#read(length);
      this.#shrunk = true;
    }
    return this.#read(length);
  }

  /** Has every view during `action` be one that is taken now: of many segments, each wants one. */
  inOnePass<Result>(length: number, action: () => Result): Result {
    this.#pass = this.view(length);
    try {
      return action();
    } finally {
      this.#pass = null;
    }
  }

  /** Null when the system refuses: a limit on memory or mappings, most likely. */
  #mapped(): FileView | null {
    if (this.#view !== null) return this.#view;
    try {
      this.#view = viewOf(this.#reader.map(0, this.#size)!);
    } catch (error) {
      this.#mapError = (error as Error).message;
    }
    return this.#view;
  }

  #read(length: number): FileView {
    if (this.#image === null || this.#image.bytes.length < length) {
      // The file may be far larger than what is used of it.
      const size = Math.min(this.#size, Math.max(length, 2 * (this.#image?.bytes.length ?? 0)));
      const larger = viewOf(new Uint8Array((size + 7) & ~7));
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

function checkAdopted(path: string, status: FileStatus, inode: bigint): void {
  let problem: string | null = null;
  if (status.inode !== inode) problem = "it is another file by now";
  else if (!status.isFile || status.linkCount !== 1) problem = "it is no regular file of one name";
  if (problem !== null) throw new Error(`Cannot go on with "${path}": ${problem}`);
}

function removeOld(path: string): void {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return;
  if (!status.isFile()) {
    throw new Error(
      `Cannot create shared file "${path}": something that is not a file is in its place, ${kindOf(status)}`,
    );
  }
  unlinkSync(path);
}
