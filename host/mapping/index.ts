import { isAllowed } from "../libc.ts";
import { loadDeno } from "./deno.ts";
import { loadKoffi } from "./koffi.ts";
import { loadMmapIo } from "./mmap_io.ts";
import type { MappingName } from "./name.ts";
import { nodeCalls } from "./node_calls.ts";
import { OpenFile } from "./open_file.ts";
import type { MappableFile, Mapper, OpenOptions, Way } from "./types.ts";

export type { FileStatus, MappableFile, OpenOptions } from "./types.ts";

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
