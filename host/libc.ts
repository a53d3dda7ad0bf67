// The C library, as Deno calls it. Deno's own file calls refuse /dev/shm and /proc unless every
// permission is granted; with `--allow-ffi` alone the C library reaches both.

import { getSystemErrorName } from "node:util";

/** A pointer of Deno: opaque, null for address 0. */
export type Pointer = object | null;

/** What we use of `Deno`, so that both compilers check this file without its own types. */
interface DenoForeign {
  readonly build: { readonly os: string; readonly arch: string };
  readonly permissions: { querySync(what: DenoPermission): { readonly state: string } };
  dlopen(
    path: string,
    symbols: typeof SYMBOLS,
  ): { readonly symbols: Readonly<Record<keyof typeof SYMBOLS, Call>> };
  readonly UnsafePointer: { value(pointer: Pointer): bigint };
  readonly UnsafePointerView: {
    new (pointer: Pointer): { getInt32(): number };
    getArrayBuffer(pointer: Pointer, length: number): ArrayBuffer;
  };
}

type DenoPermission =
  | { readonly name: "ffi" }
  | { readonly name: "env"; readonly variable: string }
  | { readonly name: "read"; readonly path: string }
  | { readonly name: "sys"; readonly kind: string };

type Call = (...values: (number | bigint | Uint8Array | Pointer)[]) => unknown;

const SYMBOLS = {
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "i64" },
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "i64" },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  readlink: { parameters: ["buffer", "buffer", "usize"], result: "i64" },
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  getpagesize: { parameters: [], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

/** Calls into the C library. */
export class Libc {
  readonly #deno: DenoForeign;
  readonly #symbols: Readonly<Record<keyof typeof SYMBOLS, Call>>;
  readonly arch: string;
  /** Where this thread has its `errno`. */
  readonly #errno: { getInt32(): number };

  constructor(deno: DenoForeign) {
    this.#deno = deno;
    this.#symbols = deno.dlopen("libc.so.6", SYMBOLS).symbols;
    this.#errno = new deno.UnsafePointerView(this.#symbols.__errno_location() as Pointer);
    this.arch = deno.build.arch;
  }

  /** Calls a function that answers with an integer, -1 when it fails. Throws its error then. */
  call(
    name: Exclude<keyof typeof SYMBOLS, "mmap" | "__errno_location">,
    ...values: (number | bigint | Uint8Array | Pointer)[]
  ): number {
    // 64-bit integers come as numbers or bigints, by their size.
    const [answer, errno] = this.#attempt(
      () => Number(this.#symbols[name](...values)),
      (number) => number === -1,
    );
    if (errno === 0) return answer;
    const code = getSystemErrorName(-errno);
    throw Object.assign(new Error(`${code}: ${name}`), { code, errno: -errno, syscall: name });
  }

  /** Maps part of a file, shared. Returns the errno when the system refuses. */
  map(descriptor: number, offset: number, length: number, write: boolean): Pointer | number {
    const protection = write ? PROT_READ | PROT_WRITE : PROT_READ;
    const values = [0n, BigInt(length), protection, MAP_SHARED, descriptor, BigInt(offset)];
    const [pointer, errno] = this.#attempt(
      () => this.#symbols.mmap(...values) as Pointer,
      (address) => this.#deno.UnsafePointer.value(address) === MAP_FAILED,
    );
    return errno === 0 ? pointer : errno;
  }

  /** What a call answers, and 0; or its errno, once that is its own. */
  #attempt<Answer>(call: () => Answer, isFailure: (answer: Answer) => boolean): [Answer, number] {
    for (let attempt = 1; ; attempt++) {
      const answer = call();
      if (!isFailure(answer)) return [answer, 0];
      const errno = this.#errno.getInt32();
      if (!NOT_OURS.has(errno) || attempt === ATTEMPTS) return [answer, errno || EIO];
    }
  }

  /** A view of memory of the C library, which does not own it. */
  view(pointer: Pointer, length: number): ArrayBuffer {
    return this.#deno.UnsafePointerView.getArrayBuffer(pointer, length);
  }
}

/**
 * Between a call that fails and our look at `errno`, the runtime may wake or wait for a thread of
 * its own, which leaves one of these there. Our calls on files do not fail with them, so the call
 * is repeated: EINTR, EAGAIN, ETIMEDOUT.
 */
const NOT_OURS: ReadonlySet<number> = new Set([0, 4, 11, 110]);
const ATTEMPTS = 10;
const EIO = 5;

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

let loaded: Libc | undefined;

/**
 * Loads the C library.
 *
 * Throws an Error that says why it cannot be called here. It does not ask the user for a
 * permission that was not granted.
 */
export function loadLibc(): Libc {
  if (loaded !== undefined) return loaded;
  const deno = (globalThis as unknown as { readonly Deno?: DenoForeign }).Deno;
  if (deno === undefined) throw new Error("this is not Deno");
  if (deno.build.os !== "linux") throw new Error(`Deno cannot map files on ${deno.build.os} yet`);
  if (!isAllowed({ name: "ffi" })) throw new Error("Deno maps files only with --allow-ffi");
  try {
    loaded = new Libc(deno);
  } catch (cause) {
    throw new Error("Deno cannot load the C library", { cause });
  }
  return loaded;
}

/**
 * Whether something is allowed already; true where nothing has to be. What is of use, and not needed,
 * is asked of Deno with this first: in a terminal it would stop and ask its user.
 */
export function isAllowed(what: DenoPermission): boolean {
  const deno = (globalThis as unknown as { readonly Deno?: DenoForeign }).Deno;
  return deno === undefined || deno.permissions.querySync(what).state === "granted";
}

/**
 * A path as the C library takes it.
 *
 * @throws {TypeError} for one that it would take for a shorter one.
 */
export function pathBytes(path: string): Uint8Array {
  if (path.includes("\0")) {
    throw new TypeError(`Cannot open ${JSON.stringify(path)}: a path is without null bytes`);
  }
  return new TextEncoder().encode(`${path}\0`);
}
