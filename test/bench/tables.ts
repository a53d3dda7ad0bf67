// The result as tables of words.

import type { Reading } from "./blocked_worker.ts";
import type { Blocked, Results } from "./results.ts";
import type { Row } from "./row.ts";

export interface Table {
  readonly head: readonly string[];
  /** Columns of figures, which stand to the right. */
  readonly right: ReadonlySet<number>;
  readonly lines: readonly (readonly string[])[];
}

export function tablesOf({ rows, blocked }: Results): Table[] {
  const head = ["what", "figure", "rival", "rival's", "ratio (min to max)", "target", "met"];
  const compared: Table = { head, right: new Set([1, 3]), lines: rows.map(cells) };
  return [compared, ...blocked.map(blockedTable)];
}

function cells(row: Row): string[] {
  const spread = row.spread.map(short).join(" to ");
  const hasSpread = row.spread[0] !== row.spread[1];
  return [
    row.name,
    withUnit(row.figure, row.unit),
    row.rival ?? "",
    row.rivalFigure === null ? "" : withUnit(row.rivalFigure, row.unit),
    [row.ratio === null ? "" : short(row.ratio), hasSpread ? `(${spread})` : ""].join(" ").trim(),
    row.target ?? "",
    row.met === null ? "" : row.met ? "yes" : "NO",
  ];
}

function blockedTable({ rival, blockMs, scrapes }: Blocked): Table {
  return {
    head: [`one worker blocked for ${blockMs / 1000} s, read after`, "sample", `${rival} over IPC`],
    right: new Set([0]),
    lines: scrapes.map(({ atMs, ours, theirs }) => [
      `${(atMs / 1000).toFixed(2)} s`,
      readingText(ours),
      readingText(theirs),
    ]),
  };
}

function readingText({ tookMs, workers, error }: Reading): string {
  const took = tookMs < 100 ? `${short(tookMs)} ms` : `${(tookMs / 1000).toFixed(2)} s`;
  return `${error?.replace(/\.$/, "") ?? `${workers} workers`} after ${took}`;
}

function withUnit(value: number, unit: string): string {
  return `${short(value)} ${unit}`.trimEnd();
}

/** Three digits are more than such figures hold. */
function short(value: number): string {
  if (!Number.isFinite(value)) return "∞";
  if (Number.isInteger(value) || Math.abs(value) >= 100) {
    return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, " ");
  }
  return String(Number(value.toPrecision(3)));
}
