// The last values of each row and column.

import { type Column, valueIn } from "./columns.ts";
import type { Row } from "./rows.ts";

/** As many as the widest terminal that is common. */
const KEPT = 256;

type Series = Float64Array;

/** Remembers what was shown, frame by frame. */
export class History {
  #rows: Map<string, Map<string, Series>> = new Map();
  #frames = 0;

  /** Adds a frame. Rows that are not in it are forgotten. */
  add(rows: readonly Row[], columns: readonly Column[]): void {
    const slot = this.#frames++ % KEPT;
    const kept = new Map<string, Map<string, Series>>();
    for (const row of rows) {
      const series = this.#rows.get(row.key) ?? new Map<string, Series>();
      kept.set(row.key, series);
      for (const column of columns) {
        let values = series.get(column.key);
        if (values === undefined) {
          values = new Float64Array(KEPT).fill(Number.NaN);
          series.set(column.key, values);
        }
        values[slot] = Number(valueIn(column, row) ?? Number.NaN);
      }
    }
    this.#rows = kept;
  }

  /** The last `count` values, the newest last; NaN where there was none. */
  last(row: string, column: string, count: number): number[] {
    const values = this.#rows.get(row)?.get(column);
    return Array.from({ length: count }, (_, index) => {
      const age = count - 1 - index;
      const frame = this.#frames - 1 - age;
      if (values === undefined || age >= KEPT || frame < 0) return Number.NaN;
      return values[frame % KEPT]!;
    });
  }
}
