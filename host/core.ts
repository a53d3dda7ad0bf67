// Loads the core and checks that it is the build these sources belong to: core.simd.wasm where the
// host runs it, else core.wasm. The only file that says WebAssembly.

import { readFileSync } from "node:fs";
import { inflateRawSync } from "node:zlib";
import { instantiateSync } from "@assemblyscript/loader";
import * as layout from "../assembly/layout.ts";
import { CORE_SIMD_DEFLATED } from "../build/core_bytes.ts";
import type { CoreExports } from "./core_exports.ts";

export type { CoreExports } from "./core_exports.ts";

/**
 * A `WebAssembly.Module`. By that name it is declared in lib "dom" only, which programs for Node do
 * not have: here it is known by its tag, so that no promise of a module is taken for one.
 */
export interface CompiledModule {
  readonly [Symbol.toStringTag]?: "WebAssembly.Module";
}

/**
 * Where the core comes from: a compiled module, which some hosts want because they forbid to compile
 * bytes; the bytes; or a `file:` URL of them.
 */
export type CoreSource = CompiledModule | ArrayBufferView | ArrayBuffer | URL;

let compiled: WebAssembly.Module | undefined;

function compile(source: CoreSource | undefined): WebAssembly.Module {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof URL) return new WebAssembly.Module(readFileSync(source));
  if (source !== undefined) return new WebAssembly.Module(source as BufferSource);
  compiled ??= compilePackaged();
  return compiled;
}

/**
 * Both builds give the same results; with vectors they come sooner. Hardly a host has none: only there
 * a file is read, which takes a path, that bundlers break, and on Deno a permission.
 */
function compilePackaged(): WebAssembly.Module {
  try {
    return new WebAssembly.Module(packagedBytes());
  } catch (error) {
    if (!(error instanceof WebAssembly.CompileError)) throw error;
    return new WebAssembly.Module(readFileSync(new URL(import.meta.resolve("#core.wasm"))));
  }
}

/** Whether this host runs the packaged core with vectors. */
export function hasVectors(): boolean {
  return WebAssembly.validate(packagedBytes());
}

function packagedBytes(): Uint8Array<ArrayBuffer> {
  const deflated = Buffer.from(CORE_SIMD_DEFLATED, "base64");
  return inflateRawSync(deflated) as Uint8Array<ArrayBuffer>;
}

/**
 * One instance of the core with typed views of its memory. An instance belongs to one segment
 * size and one file.
 *
 * The views are made anew by {@link refresh}, which must follow every call that may grow memory.
 */
export class Core {
  readonly exports: CoreExports;
  bytes!: Uint8Array;
  int32!: Int32Array;
  float64!: Float64Array;
  bigint64!: BigInt64Array;
  biguint64!: BigUint64Array;

  constructor(source?: CoreSource) {
    // The loader's own wrappers cost 4 to 6 ns a call: the plain exports are used.
    const { instance } = instantiateSync(compile(source), {});
    this.exports = instance.exports as unknown as CoreExports;
    checkLayout(instance.exports);
    this.refresh();
  }

  /** Renews the views after a call that may have grown memory; cheap when it has not. */
  refresh(): void {
    const { buffer } = this.exports.memory;
    if (this.bytes?.buffer === buffer) return;
    this.bytes = new Uint8Array(buffer);
    this.int32 = new Int32Array(buffer);
    this.float64 = new Float64Array(buffer);
    this.bigint64 = new BigInt64Array(buffer);
    this.biguint64 = new BigUint64Array(buffer);
  }

  /**
   * Passes on a non-negative answer of the core, with fresh views.
   * @throws {RangeError} when the core could not get more memory.
   * @throws {Error} when the core refused the arguments: a broken contract in the host.
   */
  checked(answer: number, action: string): number {
    this.refresh();
    if (answer >= 0) return answer;
    if (answer === layout.OUT_OF_MEMORY) {
      throw new RangeError(
        `Cannot ${action}: the core's memory is ${this.bytes.length} bytes and cannot grow`,
      );
    }
    throw new Error(`Cannot ${action}: the core answered ${answer}`);
  }
}

/** A core compiled with other constants than the host's would be misread: it is refused. */
function checkLayout(exports: Record<string, unknown>): void {
  for (const [name, expected] of Object.entries(layout)) {
    const global = exports[name];
    const value = global instanceof WebAssembly.Global ? global.value : undefined;
    if (value !== expected) {
      throw new Error(
        `Cannot load the core: ${name} is ${value} there and ${expected} here, build it anew`,
      );
    }
  }
}

/**
 * Loads a core: the packaged one without an argument, else a compiled module, its bytes or its
 * URL.
 */
export function loadCore(source?: CoreSource): Core {
  return new Core(source);
}
