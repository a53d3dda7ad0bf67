import { type Libc, loadLibc, type Pointer, pathBytes } from "../libc.ts";
import type { FileCalls, FileStatus, Mapper, OpenOptions } from "./types.ts";

const O_RDWR = 0o2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const SEEK_END = 2;

// statx: the one form of `stat` whose record is the same on every architecture.
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const STATX_BYTES = 256;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

/** Calls the C library through Deno's foreign functions. Throws if that is not possible here. */
export function loadDeno(): Mapper {
  return new DenoMapper(loadLibc());
}

class DenoMapper implements Mapper {
  readonly limit = 0x1_0000_0000;
  readonly pageSize: number;
  readonly calls: FileCalls;
  readonly #libc: Libc;
  readonly #windows = new WeakMap<ArrayBuffer, { pointer: Pointer; length: number }>();

  constructor(libc: Libc) {
    this.#libc = libc;
    this.pageSize = libc.call("getpagesize");
    this.calls = new LibcCalls(libc);
  }

  map(descriptor: number, offset: number, length: number, write: boolean): ArrayBuffer | number {
    const pointer = this.#libc.map(descriptor, offset, length, write);
    if (typeof pointer === "number") return pointer;
    const window = this.#libc.view(pointer, length);
    this.#windows.set(window, { pointer, length });
    return window;
  }

  unmap(window: ArrayBuffer): void {
    const mapped = this.#windows.get(window);
    if (mapped === undefined) return;
    this.#windows.delete(window);
    // A view that somebody kept reads undefined instead of crashing.
    window.transfer(0);
    this.#libc.call("munmap", mapped.pointer, BigInt(mapped.length));
  }
}

class LibcCalls implements FileCalls {
  readonly #libc: Libc;
  readonly #noFollow: number;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#noFollow = libc.arch === "x86_64" ? 0o400000 : 0o100000;
  }

  open(path: string, { write, create }: OpenOptions): number {
    let flags = O_NONBLOCK | O_CLOEXEC | this.#noFollow;
    if (write) flags |= O_RDWR;
    if (create !== undefined) flags |= O_CREAT | O_EXCL;
    try {
      return this.#libc.call("open", pathBytes(path), flags, create ?? 0);
    } catch (error) {
      const failed = error as NodeJS.ErrnoException;
      failed.message = `${failed.message} "${path}"`;
      failed.path = path;
      throw failed;
    }
  }

  status(descriptor: number): FileStatus {
    const record = new Uint8Array(STATX_BYTES);
    this.#libc.call("statx", descriptor, pathBytes(""), AT_EMPTY_PATH, STATX_BASIC_STATS, record);
    const view = new DataView(record.buffer);
    const mode = view.getUint16(28, true);
    return {
      linkCount: view.getUint32(16, true),
      ownerId: view.getUint32(20, true),
      mode: mode & 0o7777,
      isFile: (mode & S_IFMT) === S_IFREG,
      inode: view.getBigUint64(32, true),
      size: Number(view.getBigUint64(40, true)),
      device: deviceId(view.getUint32(136, true), view.getUint32(140, true)),
    };
  }

  /** A quarter of what `fstat` through `node:fs` costs there. */
  size(descriptor: number): number {
    return this.#libc.call("lseek", descriptor, 0n, SEEK_END);
  }

  changeMode(descriptor: number, mode: number): void {
    this.#libc.call("fchmod", descriptor, mode);
  }

  resize(descriptor: number, size: number): void {
    this.#libc.call("ftruncate", descriptor, BigInt(size));
  }

  read(descriptor: number, target: Uint8Array, position: number): number {
    const [length, offset] = [BigInt(target.length), BigInt(position)];
    return this.#libc.call("pread", descriptor, target, length, offset);
  }

  write(descriptor: number, source: Uint8Array, position: number): number {
    const [length, offset] = [BigInt(source.length), BigInt(position)];
    return this.#libc.call("pwrite", descriptor, source, length, offset);
  }

  close(descriptor: number): void {
    this.#libc.call("close", descriptor);
  }
}

/** As `stat` gives it: glibc's `makedev`. */
function deviceId(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (
    ((high & ~0xfffn) << 32n) | ((high & 0xfffn) << 8n) | ((low & ~0xffn) << 12n) | (low & 0xffn)
  );
}
