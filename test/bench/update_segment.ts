// A segment for a process that measures updates, and whether that process counted right.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Schema } from "../../host/schema.ts";
import { SegmentAllocator } from "../../host/segment_allocator.ts";
import type { Results } from "./results.ts";
import type { Settings } from "./settings.ts";

const METRICS = 8;

export interface Segment {
  readonly path: string;
  readonly offset: number;
  readonly type: "u64" | "f64";
  readonly names: readonly string[];
}

/** What such a process is told. */
export interface UpdateTask extends Segment {
  readonly settings: Settings;
}

/** What any such process prints, besides figures. */
export interface Counted {
  /** Why the segment is not mapped; null where it is. */
  readonly unmapped: string | null;
  /** How often each metric was incremented, and what others have that were incremented as often. */
  readonly count: number;
  readonly others: Readonly<Record<string, readonly number[]>>;
}

/** What a program of this folder prints about metrics of a type; `more` is added to its task. */
export function measureInProcess<Figures extends Counted>(
  program: string,
  type: Segment["type"],
  folder: string,
  settings: Settings,
  results: Results,
  more: object = {},
): Figures {
  const names = Array.from({ length: METRICS }, (_, i) => `field_${i}`);
  const schema = Schema.build(Object.fromEntries(names.map((name) => [name, type])));
  const file = `update-${type}-${randomBytes(3).toString("hex")}.shm`;
  const allocator = new SegmentAllocator(join(folder, file));
  const { path } = allocator.file;
  const task: UpdateTask = { path, offset: allocator.allocate(1)!, type, names, settings };
  allocator.updateSchema(1, schema.toRows());
  const programPath = fileURLToPath(new URL(program, import.meta.url));
  const command = ["--expose-gc", programPath, JSON.stringify({ ...task, ...more })];
  const text = execFileSync(process.execPath, command, { encoding: "utf8" });
  const figures = JSON.parse(text) as Figures;
  const expected = Object.fromEntries(names.map((name) => [name, figures.count]));
  results.check(`${type} metrics as the supervisor reads them`, allocator.read(1), expected);
  for (const [other, values] of Object.entries(figures.others)) {
    const right = names.map(() => figures.count);
    results.check(`${type} metrics of the same process: ${other}`, values, right);
  }
  allocator.close({ unlink: true });
  return figures;
}
