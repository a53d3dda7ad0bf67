// Runs sum.c over the file of a fleet: in this process where koffi can load it, else as a program.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { typeCode } from "../../host/field_type.ts";
import { compile } from "./compiler.ts";
import { type Fleet, ROWS } from "./fleet.ts";

/** Which kernel of sum.c: the sums, or only copying the bytes that they read. */
export const SUMS = 0;
export const COPIES = 1;
export type Kernel = typeof SUMS | typeof COPIES;

export interface CRival {
  /** Where it runs: for the result's environment. */
  readonly kind: string;
  /** Nanoseconds of that many passes, by its own clock. */
  run(kernel: Kernel, passes: number): number | Promise<number>;
  /** The sums of the last pass, in the order of the fleet's services and fields. */
  sums(): bigint[];
  /** The wrapping sum of all words that the last pass copied. */
  copied(): bigint;
  close(): void;
}

interface Library {
  func(prototype: string): (...values: unknown[]) => number | bigint;
}

let library: Library | null | undefined;

/** Throws where there is no C compiler. */
export async function openCRival(fleet: Fleet, folder: string): Promise<CRival> {
  const planPath = join(folder, "plan");
  writeFileSync(planPath, planOf(fleet));
  library ??= loadLibrary(folder);
  if (library !== null) return new LibraryRival(library, fleet, planPath);
  return await ProgramRival.start(fleet, planPath, folder);
}

/** The compiled plan that sum.c describes. */
function planOf({ services, offsets }: Fleet): Int32Array {
  const fields = ROWS.length;
  const accumulators = services.length * fields;
  const head = [services.length, accumulators, offsets.length, accumulators];
  const groups: number[] = [];
  const operations: number[] = [];
  const members: number[] = [];
  services.forEach((_, service) => {
    const first = members.length;
    for (let i = service; i < offsets.length; i += services.length) members.push(offsets[i]!);
    groups.push(first, members.length - first, service * fields, fields, fields * 8);
    ROWS.forEach(([, type, offset], field) => {
      operations.push(typeCode(type as "u64"), offset, service * fields + field);
    });
  });
  return Int32Array.from([...head, ...groups, ...operations, ...members]);
}

function loadLibrary(folder: string): Library | null {
  const require = createRequire(import.meta.url);
  try {
    return require("koffi").load(compile("sum.c", folder, ["-shared", "-fPIC"])) as Library;
  } catch {
    return null;
  }
}

class LibraryRival implements CRival {
  readonly kind = "in this process";
  readonly #run: (...values: unknown[]) => number | bigint;
  readonly #half: (...values: unknown[]) => number | bigint;
  readonly #copied: (...values: unknown[]) => number | bigint;
  readonly #close: (...values: unknown[]) => number | bigint;
  readonly #count: number;

  constructor(library: Library, fleet: Fleet, planPath: string) {
    this.#run = library.func("double bench_run(int kernel, int passes)");
    this.#half = library.func("uint64_t bench_half(int accumulator, int high)");
    this.#copied = library.func("uint64_t bench_copied()");
    this.#close = library.func("void bench_close()");
    this.#count = fleet.services.length * ROWS.length;
    const open = library.func("int bench_open(const char *file_path, const char *plan_path)");
    if (open(fleet.monitor.path, planPath) !== 0) throw new Error("Cannot open the file from C");
  }

  run(kernel: Kernel, passes: number): number {
    return Number(this.#run(kernel, passes));
  }

  sums(): bigint[] {
    return Array.from({ length: this.#count }, (_, i) =>
      integer(BigInt(this.#half(i, 0)), BigInt(this.#half(i, 1))),
    );
  }

  copied(): bigint {
    return BigInt(this.#copied());
  }

  close(): void {
    this.#close();
  }
}

class ProgramRival implements CRival {
  readonly kind = "in a process of its own";
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterableIterator<string>;
  #answer: bigint[] = [];

  private constructor(child: ChildProcess) {
    this.#process = child;
    this.#answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  static async start(fleet: Fleet, planPath: string, folder: string): Promise<ProgramRival> {
    const program = compile("sum.c", folder, ["-DPROGRAM"]);
    const child = spawn(program, [fleet.monitor.path, planPath], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await once(child, "spawn");
    return new ProgramRival(child);
  }

  async run(kernel: Kernel, passes: number): Promise<number> {
    this.#process.stdin!.write(`${kernel} ${passes}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error("The rival in C ended");
    this.#answer = value.split(" ").map(BigInt);
    return Number(this.#answer[0]);
  }

  sums(): bigint[] {
    const [, , ...halves] = this.#answer;
    return Array.from({ length: halves.length / 2 }, (_, i) =>
      integer(halves[i * 2]!, halves[i * 2 + 1]!),
    );
  }

  copied(): bigint {
    return this.#answer[1]!;
  }

  close(): void {
    this.#process.stdin!.end();
  }
}

function integer(low: bigint, high: bigint): bigint {
  return (BigInt.asIntN(64, high) << 64n) + low;
}
