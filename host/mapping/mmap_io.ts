import { createRequire } from "node:module";
import { isMainThread } from "node:worker_threads";
import { LOCATION } from "../location.ts";
import type { Mapper } from "./types.ts";

/** What we use of it: its own types do not fit its exports. */
interface MmapIo {
  map(
    length: number,
    protection: number,
    flags: number,
    descriptor: number,
    offset: number,
  ): Buffer;
  readonly PROT_READ: number;
  readonly PROT_WRITE: number;
  readonly MAP_SHARED: number;
  readonly PAGESIZE: number;
}

/** Loads mmap-io, which has to be compiled for the very Node that runs. Throws if it cannot. */
export function loadMmapIo(): Mapper {
  if ("Deno" in globalThis) throw new Error("mmap-io cannot be used in Deno");
  // Its binary registers once in a process: whichever thread came first would take it from all.
  if (!isMainThread) throw new Error("mmap-io cannot be used in worker threads");

  const require = createRequire(LOCATION);
  let path: string;
  try {
    path = require.resolve("mmap-io");
  } catch (cause) {
    throw new Error("mmap-io is not installed", { cause });
  }
  let library: MmapIo;
  try {
    library = require(path) as MmapIo;
  } catch (cause) {
    throw new Error("mmap-io is not built for this Node", { cause });
  }
  return new MmapIoMapper(library);
}

class MmapIoMapper implements Mapper {
  /** It passes length and offset through an int: 4 GiB + 4096 would silently map 4096 bytes. */
  readonly limit = 0x7fff_ffff;
  readonly pageSize: number;
  readonly #library: MmapIo;

  constructor(library: MmapIo) {
    this.#library = library;
    this.pageSize = library.PAGESIZE;
  }

  map(descriptor: number, offset: number, length: number, write: boolean): ArrayBuffer | number {
    const { PROT_READ, PROT_WRITE, MAP_SHARED } = this.#library;
    const protection = write ? PROT_READ | PROT_WRITE : PROT_READ;
    try {
      return this.#library.map(length, protection, MAP_SHARED, descriptor, offset)
        .buffer as ArrayBuffer;
    } catch (error) {
      const errno = /^mmap failed, (\d+)$/.exec((error as Error).message)?.[1];
      if (errno === undefined) throw error;
      return Number(errno);
    }
  }

  unmap(window: ArrayBuffer): void {
    // Detaching frees the buffer in the next turn of the event loop, and freeing it unmaps. Node 20
    // cannot detach: there the collector unmaps, once nothing refers to the buffer.
    if (window.byteLength > 0) window.transfer?.(0);
  }
}
