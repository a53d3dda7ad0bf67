import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { getSystemErrorName } from "node:util";
import type { FileStatus, MappableFile, Mapper, MappingName, OpenOptions } from "./index.ts";

/** The longest piece that one call of `read` or `write` takes on every runtime is below 2 GiB. */
const LONGEST_TRANSFER = 0x4000_0000;

/** A file opened through `node:fs`, mapped by whatever mapper could be loaded. */
export class NodeFile implements MappableFile {
  readonly path: string;
  readonly mapping: MappingName;
  readonly mappingReason: string;
  readonly #mapper: Mapper | null;
  readonly #writable: boolean;
  #openDescriptor: number | null;

  constructor(
    path: string,
    options: OpenOptions,
    mapping: MappingName,
    mapper: Mapper | null,
    mappingReason: string,
  ) {
    this.path = path;
    this.mapping = mapping;
    this.mappingReason = mappingReason;
    this.#mapper = mapper;
    this.#writable = options.write;

    let flags = options.write ? constants.O_RDWR : constants.O_RDONLY;
    // O_NONBLOCK: a pipe put in the file's place cannot make us wait. Regular files ignore it.
    flags |= constants.O_NOFOLLOW | constants.O_NONBLOCK;
    if (options.create !== undefined) flags |= constants.O_CREAT | constants.O_EXCL;
    const descriptor = openSync(path, flags, options.create);
    try {
      if (options.create !== undefined) fchmodSync(descriptor, options.create);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    this.#openDescriptor = descriptor;
  }

  status(): FileStatus {
    const stat = fstatSync(this.#descriptor, { bigint: true });
    return {
      size: Number(stat.size),
      inode: stat.ino,
      device: stat.dev,
      ownerId: Number(stat.uid),
      mode: Number(stat.mode) & 0o7777,
      linkCount: Number(stat.nlink),
      isFile: stat.isFile(),
    };
  }

  size(): number {
    return fstatSync(this.#descriptor).size;
  }

  map(offset: number, length: number): Uint8Array | null {
    const mapper = this.#mapper;
    if (mapper === null) return null;
    const what = `Cannot map ${length} bytes at offset ${offset} of "${this.path}"`;
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new RangeError(`${what}: the offset is not a whole number of bytes`);
    }
    if (!Number.isSafeInteger(length) || length < 1) {
      throw new RangeError(`${what}: the length is not a positive number of bytes`);
    }
    // The system would map it and kill us at the first access.
    const size = this.size();
    if (offset + length > size) throw new RangeError(`${what}: file is ${size} bytes`);

    const margin = offset % mapper.pageSize;
    const [start, windowLength] = [offset - margin, margin + length];
    if (start > mapper.limit || windowLength > mapper.limit) {
      throw new RangeError(`${what}: ${this.mapping} reaches ${mapper.limit} bytes`);
    }
    const window = mapper.map(this.#descriptor, start, windowLength, this.#writable);
    if (typeof window === "number") {
      const code = getSystemErrorName(-window);
      const details = { code, errno: -window, syscall: "mmap", path: this.path };
      throw Object.assign(new Error(`${what}: ${code}`), details);
    }
    return new Uint8Array(window, margin, length);
  }

  unmap(view: Uint8Array): void {
    this.#mapper?.unmap(view.buffer as ArrayBuffer);
  }

  read(target: Uint8Array, position: number): number {
    const descriptor = this.#descriptor;
    let done = 0;
    while (done < target.length) {
      const length = Math.min(target.length - done, LONGEST_TRANSFER);
      const count = readSync(descriptor, target, done, length, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  write(source: Uint8Array, position: number): void {
    const descriptor = this.#descriptor;
    let done = 0;
    while (done < source.length) {
      const length = Math.min(source.length - done, LONGEST_TRANSFER);
      done += writeSync(descriptor, source, done, length, position + done);
    }
  }

  resize(size: number): void {
    ftruncateSync(this.#descriptor, size);
  }

  close(): void {
    if (this.#openDescriptor === null) return;
    closeSync(this.#openDescriptor);
    this.#openDescriptor = null;
  }

  get #descriptor(): number {
    // A number kept after closing could by now be somebody else's file.
    if (this.#openDescriptor === null) throw new Error(`Cannot use "${this.path}": it is closed`);
    return this.#openDescriptor;
  }
}
