// What a worker pays: one update of a metric. Measured in a process of its own, as a worker is.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Schema } from "../../host/schema.ts";
import { SegmentAllocator } from "../../host/segment_allocator.ts";
import { progress, type Results } from "./results.ts";
import { makeRow } from "./row.ts";
import type { Settings } from "./settings.ts";

/** Ruby 3.3 with YJIT, `metric.increment` of a u64 with an observer. */
const RUBY_NS = 75;
const METRICS = 8;

/** What update_process.ts is told. */
export interface UpdateTask {
  readonly path: string;
  readonly offset: number;
  readonly type: "u64" | "f64";
  readonly names: readonly string[];
  readonly settings: Settings;
}

/** What update_process.ts prints. */
export interface UpdateFigures {
  /** Why the segment is not mapped; null where it is. */
  readonly unmapped: string | null;
  /** Nanoseconds of an update in each round. */
  readonly mapped: readonly number[];
  readonly heap: readonly number[];
  readonly promClient: readonly number[];
  readonly promClientLabelled: readonly number[];
  /** Bytes allocated by an update. */
  readonly bytes: number;
  /** How often each metric was incremented, and what the ones on the heap have. */
  readonly count: number;
  readonly heapValues: Readonly<Record<string, number>>;
}

export function measureUpdates(folder: string, settings: Settings, results: Results): void {
  for (const type of ["u64", "f64"] as const) {
    progress(`updates: ${type}`);
    const figures = runProcess(type, folder, settings, results);
    if (figures.unmapped === null) report(type, figures, results);
    else results.skip(`increment ${type}, 8 metrics in turn, mapped`, figures.unmapped);
  }
}

function runProcess(
  type: "u64" | "f64",
  folder: string,
  settings: Settings,
  results: Results,
): UpdateFigures {
  const names = Array.from({ length: METRICS }, (_, i) => `field_${i}`);
  const schema = Schema.build(Object.fromEntries(names.map((name) => [name, type])));
  const allocator = new SegmentAllocator(join(folder, `update-${type}.shm`));
  const { path } = allocator.file;
  const task: UpdateTask = { path, offset: allocator.allocate(1)!, type, names, settings };
  allocator.updateSchema(1, schema.toRows());
  const program = fileURLToPath(new URL("./update_process.js", import.meta.url));
  const command = ["--expose-gc", program, JSON.stringify(task)];
  const text = execFileSync(process.execPath, command, { encoding: "utf8" });
  const figures = JSON.parse(text) as UpdateFigures;
  const expected = Object.fromEntries(names.map((name) => [name, figures.count]));
  results.check(`${type} metrics as the supervisor reads them`, allocator.read(1), expected);
  results.check(`${type} metrics on the heap`, figures.heapValues, expected);
  allocator.close({ unlink: true });
  return figures;
}

function report(type: string, figures: UpdateFigures, results: Results): void {
  const { mapped, heap, bytes, promClient, promClientLabelled } = figures;
  results.add(
    makeRow(`increment ${type}, 8 metrics in turn, mapped`, "ns", mapped, {
      target: { atMost: 2.5 },
    }),
    makeRow(`increment ${type}, mapped against heap`, "ns", mapped, {
      rival: { name: "the same call, heap array", figures: heap },
      target: { timesRival: 1.5 },
    }),
    makeRow(`increment ${type}, bytes allocated`, "B", [bytes], { target: { atMost: 0 } }),
  );
  results.add(
    makeRow(`increment ${type}, against prom-client`, "ns", mapped, {
      rival: { name: "prom-client 15, 8 counters in turn", figures: promClient },
      target: { timesFaster: 5 },
    }),
    makeRow(`increment ${type}, against prom-client with a label`, "ns", mapped, {
      rival: { name: "prom-client 15, 8 counters, one label", figures: promClientLabelled },
      target: { timesFaster: 30 },
    }),
  );
  if (type !== "u64") return;
  results.add(
    makeRow("increment u64, against Ruby", "ns", mapped, {
      rival: { name: "Ruby 3.3 + YJIT, recorded", figures: [RUBY_NS] },
      target: { timesFaster: 25 },
    }),
  );
}
