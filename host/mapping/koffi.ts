import { createRequire } from "node:module";
import { LOCATION } from "../location.ts";
import type { Mapper } from "./types.ts";

/** What we use of koffi. A pointer is opaque: a bigint today, an object in older versions. */
interface Koffi {
  load(path: string | null): { func(prototype: string): (...values: unknown[]) => unknown };
  address(pointer: unknown): bigint;
  errno(): number;
  sizeof(type: string): number;
  view(pointer: unknown, length: number): ArrayBuffer;
}

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/** `_SC_PAGESIZE`, the argument of sysconf, where the constants of this file are known to hold. */
const PAGE_SIZE_NAMES: Readonly<Record<string, number>> = { linux: 30, darwin: 29 };

/** Loads koffi, a prebuilt foreign-function interface, and by it the C library. Throws if it cannot. */
export function loadKoffi(): Mapper {
  const pageSizeName = PAGE_SIZE_NAMES[process.platform];
  if (pageSizeName === undefined) throw new Error(`koffi cannot map files on ${process.platform}`);

  const require = createRequire(LOCATION);
  let path: string;
  try {
    path = require.resolve("koffi");
  } catch (cause) {
    throw new Error("koffi is not installed", { cause });
  }
  let koffi: Koffi;
  try {
    koffi = require(path) as Koffi;
  } catch (cause) {
    throw new Error("koffi is not built for this system", { cause });
  }
  // With 32 bits, the type of an offset depends on how the C library was built.
  if (koffi.sizeof("void *") !== 8) throw new Error("koffi cannot map files on 32-bit systems");
  return new KoffiMapper(koffi, pageSizeName);
}

class KoffiMapper implements Mapper {
  /** A longer view aborts Node 20. */
  readonly limit = 0x1_0000_0000;
  readonly pageSize: number;
  readonly #koffi: Koffi;
  readonly #mmap: (...values: unknown[]) => unknown;
  readonly #munmap: (...values: unknown[]) => unknown;
  readonly #windows = new WeakMap<ArrayBuffer, { pointer: unknown; length: number }>();

  constructor(koffi: Koffi, pageSizeName: number) {
    // The process itself: it has a C library loaded, whatever that is called here (glibc, musl,
    // macOS). Only built-in types are named, so a second copy of this file declares nothing twice.
    const library = koffi.load(null);
    this.#koffi = koffi;
    this.#mmap = library.func(
      "void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)",
    );
    this.#munmap = library.func("int munmap(void *address, size_t length)");
    this.pageSize = Number(library.func("long sysconf(int name)")(pageSizeName));
  }

  map(descriptor: number, offset: number, length: number, write: boolean): ArrayBuffer | number {
    const protection = write ? PROT_READ | PROT_WRITE : PROT_READ;
    const pointer = this.#mmap(null, length, protection, MAP_SHARED, descriptor, offset);
    if (this.#koffi.address(pointer) === MAP_FAILED) return this.#koffi.errno();
    const window = this.#koffi.view(pointer, length);
    this.#windows.set(window, { pointer, length });
    return window;
  }

  unmap(window: ArrayBuffer): void {
    const mapped = this.#windows.get(window);
    if (mapped === undefined) return;
    this.#windows.delete(window);
    // Where it can be detached, a view that somebody kept reads undefined instead of crashing.
    window.transfer?.(0);
    this.#munmap(mapped.pointer, mapped.length);
  }
}
