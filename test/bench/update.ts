// What a worker pays: one update of a metric. Measured in a process of its own, as a worker is.

import { progress, type Results } from "./results.ts";
import { makeRow } from "./row.ts";
import type { Settings } from "./settings.ts";
import { measureUpdateRivals } from "./update_rivals.ts";
import { type Counted, measureInProcess } from "./update_segment.ts";

/** Ruby 3.3 with YJIT, `metric.increment` of a u64 with an observer. */
const RUBY_NS = 75;

/** What update_process.ts prints. */
export interface UpdateFigures extends Counted {
  /** Nanoseconds of an update in each round. */
  readonly mapped: readonly number[];
  readonly heap: readonly number[];
  /** Bytes allocated by an update. */
  readonly bytes: number;
}

export function measureUpdates(folder: string, settings: Settings, results: Results): void {
  for (const type of ["u64", "f64"] as const) {
    progress(`updates: ${type}`);
    const program = "./update_process.js";
    const figures = measureInProcess<UpdateFigures>(program, type, folder, settings, results);
    if (figures.unmapped !== null) {
      results.skip(`increment ${type}, 8 metrics in turn, mapped`, figures.unmapped);
      continue;
    }
    report(type, figures, results);
    measureUpdateRivals(type, folder, settings, results);
  }
}

function report(type: string, figures: UpdateFigures, results: Results): void {
  const { mapped, heap, bytes } = figures;
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
  if (type !== "u64") return;
  results.add(
    makeRow("increment u64, against Ruby", "ns", mapped, {
      rival: { name: "Ruby 3.3 + YJIT, recorded", figures: [RUBY_NS] },
      target: { timesFaster: 25 },
    }),
  );
}
