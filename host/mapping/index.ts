import { isAllowed } from "../libc.ts";
import { loadDeno } from "./deno.ts";
import { loadKoffi } from "./koffi.ts";
import { loadMmapIo } from "./mmap_io.ts";
import { nodeCalls } from "./node_calls.ts";
import { OpenFile } from "./open_file.ts";

/** The ways to map a file. `"none"` is positional file I/O, which every runtime has. */
export type MappingName = "mmap-io" | "koffi" | "deno" | "none";

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

/** Each loader throws an Error that says why it cannot be used here. */
const LOADERS: Readonly<Record<Exclude<MappingName, "none">, () => Mapper>> = {
  "mmap-io": loadMmapIo,
  koffi: loadKoffi,
  deno: loadDeno,
};

type Loadable = keyof typeof LOADERS;

const NAMES: readonly string[] = [...Object.keys(LOADERS), "none"];

/** What is tried, in order of preference. */
const PREFERRED: readonly Loadable[] = "Deno" in globalThis ? ["deno"] : ["mmap-io", "koffi"];

/** Native code is loaded once, when a file is first opened: koffi alone takes 40 ms. */
const loaded = new Map<Loadable, Mapper | Error>();

/**
 * Opens a file, never through a symbolic link.
 *
 * Throws a RangeError for an unknown `mapping`, an Error for one that cannot be used here, and
 * what `open` throws.
 */
export function openFile(path: string, options: OpenOptions): MappableFile {
  return new OpenFile(path, options, choose(options.mapping));
}

/**
 * The way that `openFile` would map with, and why.
 *
 * Throws as `openFile` does.
 */
export function selectMapping(option?: MappingName): { mapping: MappingName; reason: string } {
  const { mapping, reason } = choose(option);
  return { mapping, reason };
}

function choose(option: MappingName | undefined): Way {
  if (option !== undefined) return force(option, 'the option "mapping"');
  const variable = mappingVariable();
  if (variable) return force(variable, "UTILIZATION_MAPPING");

  const reasons: string[] = [];
  for (const name of PREFERRED) {
    const mapper = load(name);
    if (!(mapper instanceof Error)) {
      reasons.push(name === "deno" ? "Deno may call the C library" : `${name} loaded`);
      return wayWith(name, mapper, reasons.join("; "));
    }
    reasons.push(mapper.message);
  }
  return wayWith("none", null, reasons.join("; "));
}

function mappingVariable(): string | undefined {
  const variable = "UTILIZATION_MAPPING";
  return isAllowed({ name: "env", variable }) ? process.env[variable] : undefined;
}

function wayWith(mapping: MappingName, mapper: Mapper | null, reason: string): Way {
  return { mapping, mapper, calls: mapper?.calls ?? nodeCalls, reason };
}

function force(name: string, by: string): Way {
  if (!isMappingName(name)) {
    throw new RangeError(
      `Cannot map with "${name}", asked for by ${by}: not one of ${NAMES.join(", ")}`,
    );
  }
  const reason = `${name} was asked for by ${by}`;
  if (name === "none") return wayWith(name, null, reason);
  const mapper = load(name);
  if (mapper instanceof Error) {
    throw new Error(`Cannot map with "${name}", asked for by ${by}: ${mapper.message}`, {
      cause: mapper.cause,
    });
  }
  return wayWith(name, mapper, reason);
}

function isMappingName(name: string): name is MappingName {
  return NAMES.includes(name);
}

function load(name: Loadable): Mapper | Error {
  let mapper = loaded.get(name);
  if (mapper === undefined) {
    try {
      mapper = LOADERS[name]();
    } catch (error) {
      mapper = error instanceof Error ? error : new Error(String(error));
    }
    loaded.set(name, mapper);
  }
  return mapper;
}
