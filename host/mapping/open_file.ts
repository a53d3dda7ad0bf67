import { getSystemErrorName } from "node:util";
import type { MappingName } from "./name.ts";
import type { FileCalls, FileStatus, MappableFile, OpenOptions, Way } from "./types.ts";

/** The longest piece that one call of `read` or `write` takes on every runtime is below 2 GiB. */
const LONGEST_TRANSFER = 0x4000_0000;

/** A file, opened and mapped in the way that was chosen. */
export class OpenFile implements MappableFile {
  readonly path: string;
  readonly mapping: MappingName;
  readonly mappingReason: string;
  readonly #way: Way;
  readonly #calls: FileCalls;
  readonly #writable: boolean;
  #openDescriptor: number | null;

  constructor(path: string, options: OpenOptions, way: Way) {
    this.path = path;
    this.mapping = way.mapping;
    this.mappingReason = way.reason;
    this.#way = way;
    this.#calls = way.calls;
    this.#writable = options.write;

    const descriptor = this.#calls.open(path, options);
    try {
      if (options.create !== undefined) this.#calls.changeMode(descriptor, options.create);
    } catch (error) {
      this.#calls.close(descriptor);
      throw error;
    }
    this.#openDescriptor = descriptor;
  }

  status(): FileStatus {
    return this.#calls.status(this.#descriptor);
  }

  size(): number {
    return this.#calls.size(this.#descriptor);
  }

  map(offset: number, length: number): Uint8Array | null {
    const { mapper } = this.#way;
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
    this.#way.mapper?.unmap(view.buffer as ArrayBuffer);
  }

  read(target: Uint8Array, position: number): number {
    const descriptor = this.#descriptor;
    let done = 0;
    while (done < target.length) {
      const piece = target.subarray(done, done + LONGEST_TRANSFER);
      const count = this.#calls.read(descriptor, piece, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  write(source: Uint8Array, position: number): void {
    const descriptor = this.#descriptor;
    let done = 0;
    while (done < source.length) {
      const piece = source.subarray(done, done + LONGEST_TRANSFER);
      done += this.#calls.write(descriptor, piece, position + done);
    }
  }

  resize(size: number): void {
    this.#calls.resize(this.#descriptor, size);
  }

  close(): void {
    if (this.#openDescriptor === null) return;
    this.#calls.close(this.#openDescriptor);
    this.#openDescriptor = null;
  }

  get #descriptor(): number {
    // A number kept after closing could by now be somebody else's file.
    if (this.#openDescriptor === null) throw new Error(`Cannot use "${this.path}": it is closed`);
    return this.#openDescriptor;
  }
}
