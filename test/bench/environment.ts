import { cpus, release } from "node:os";
import { selectMapping } from "../../host/mapping/index.ts";
import { compilerVersion } from "./compiler.ts";
import type { Settings } from "./settings.ts";

/** What the figures depend on. */
export interface Environment {
  readonly runtime: string;
  readonly cpu: string;
  /**
   * How fast the processor was while this ran: additions that wait for each other, one a cycle.
   * Virtual processors are not always what they seem: where this is low, so are all figures.
   */
  readonly additions: string;
  readonly system: string;
  readonly mapping: string;
  readonly file: string;
  readonly compiler: string;
  readonly rounds: string;
}

/** Additions per nanosecond, at this moment. */
export function additionsPerNanosecond(): number {
  const count = 20_000_000;
  let best = 0;
  for (let attempt = 0; attempt < 3; attempt++) {
    const start = performance.now();
    if (chain(count) !== count) throw new Error("This processor cannot add");
    best = Math.max(best, count / ((performance.now() - start) * 1e6));
  }
  return best;
}

function chain(count: number): number {
  let value = 0;
  for (let i = 0; i < count; i++) value = (value + 1) | 0;
  return value;
}

export function describeEnvironment(
  onTmpfs: boolean,
  settings: Settings,
  additions: readonly number[],
): Environment {
  const processors = cpus();
  const { rounds, warmUpRounds, milliseconds } = settings;
  return {
    runtime: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
    cpu: `${processors.length} × ${processors[0]?.model ?? "unknown"}`,
    additions: `${additions.map((value) => value.toFixed(2)).join(", ")} per ns`,
    system: `${process.platform} ${release()} ${process.arch}`,
    mapping: selectMapping().mapping,
    file: onTmpfs ? "tmpfs" : "temporary folder",
    compiler: compilerVersion() ?? "none",
    rounds: `${rounds} interleaved after ${warmUpRounds} to warm up, ${milliseconds} ms each`,
  };
}
