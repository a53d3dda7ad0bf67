// The table itself: as many columns as fit, and the rows of the window.

import { isStalled } from "../frame.ts";
import type { Line, Span, Style } from "../screen.ts";
import { shorten, widthOf } from "../text_width.ts";
import { type Column, FIXED, textIn, valueIn } from "./columns.ts";
import type { Glyphs } from "./glyphs.ts";
import { type Row, workerName } from "./rows.ts";
import { bars, highestOf } from "./sparkline.ts";
import type { TopState } from "./state.ts";

/** Where everything is, from left to right. */
export interface Layout {
  readonly labelWidth: number;
  readonly fields: readonly Column[];
  readonly gap: number;
  /** 0: there is no room for one. */
  readonly sparkWidth: number;
}

const LEAST_LABEL = 16;
const MOST_LABEL = 28;
/** Before a label: the cursor, and whether the service is open. */
const INDENT = 4;
const WIDEST_GAP = 3;
const SPARK_GAP = 2;
const MOST_SPARK = 40;
/** Busier than this is nearly too busy. */
const NEARLY_FULL = 0.9;

/** Fits the fields around the chosen one, after those that are always there. */
export function layoutOf(state: TopState, columns: number, glyphs: Glyphs): Layout {
  const names = state.frame.services.map(({ name }) => widthOf(glyphs.text(name)));
  const widestName = Math.max(LEAST_LABEL, ...names);
  const labelWidth = Math.min(widestName, columns < 100 ? LEAST_LABEL + 2 : MOST_LABEL);
  const [, workers, stalled] = FIXED;
  const fixed = labelWidth + INDENT + workers!.width + stalled!.width + 2;
  const leastSpark = state.chosen === null || columns < 60 ? 0 : columns < 100 ? 10 : 16;
  const all = state.columns;
  const room = columns - fixed - (leastSpark > 0 ? leastSpark + SPARK_GAP : 0);

  const { first, count } = fittingFields(state, room);
  state.firstField = first;
  const fields = all.slice(first, first + count);
  const used = fields.reduce((sum, { width }) => sum + width, 0);
  const gap =
    count === 0 ? 1 : Math.max(1, Math.min(WIDEST_GAP, Math.floor((room - used) / count)));
  const left = columns - fixed - used - gap * count - SPARK_GAP;
  const sparkWidth = leastSpark === 0 ? 0 : Math.max(0, Math.min(MOST_SPARK, left));
  return { labelWidth, fields, gap, sparkWidth };
}

/** Moves the window no further than it must, and fills it. */
function fittingFields(
  { columns, chosen, firstField }: TopState,
  room: number,
): { first: number; count: number } {
  const countFrom = (start: number): number => {
    let left = room;
    let count = 0;
    while (start + count < columns.length && left > columns[start + count]!.width) {
      left -= columns[start + count]!.width + 1;
      count++;
    }
    return count;
  };
  const index = columns.findIndex(({ key }) => key === chosen?.key);
  let first = Math.min(firstField, Math.max(0, index), Math.max(0, columns.length - 1));
  while (first < index && first + countFrom(first) <= index) first++;
  // No room is left empty at the end.
  while (first > 0 && first - 1 + countFrom(first - 1) >= columns.length) first--;
  return { first, count: countFrom(first) };
}

/** Two lines of heading, and the rows. */
export function tableLines(
  state: TopState,
  layout: Layout,
  { rows, cursor }: { readonly rows: readonly Row[]; readonly cursor: Row | null },
  glyphs: Glyphs,
): Line[] {
  return [
    headingLine(state, layout, glyphs, 0),
    headingLine(state, layout, glyphs, 1),
    ...rows.map((row) => rowLine(state, layout, row, row.key === cursor?.key, glyphs)),
  ];
}

function headingLine(state: TopState, layout: Layout, glyphs: Glyphs, line: 0 | 1): Line {
  const { labelWidth, fields, gap, sparkWidth } = layout;
  const { chosen, order } = state;
  // A block of both lines is the chosen column; an arrow in the lower one, the order.
  const cell = ({ key, heading }: Column, width: number, gap: number, isLeft = false): Span[] => {
    const isOrdered = line === 1 && order?.column.key === key;
    const mark = isOrdered ? (order.isDescending ? glyphs.descending : glyphs.ascending) : "";
    const text = mark + shorten(heading[line], width - widthOf(mark), glyphs.more);
    const blank = " ".repeat(Math.max(0, width - widthOf(text)));
    const style = chosen?.key === key ? "selected" : "dim";
    return [{ text: " ".repeat(gap) }, { text: isLeft ? text + blank : blank + text, style }];
  };
  const [name, workers, stalled] = FIXED;
  const spans: Span[] = [
    ...cell(name!, labelWidth + INDENT - 2, 2, true),
    ...cell(workers!, workers!.width, 1),
    ...cell(stalled!, stalled!.width, 1),
  ];
  for (const column of fields) spans.push(...cell(column, column.width, gap));
  if (sparkWidth > 0 && chosen !== null && chosen.kind !== "name") {
    const words =
      chosen.kind === "rate" ? `${chosen.heading[0]}/s` : chosen.heading.join(" ").trim();
    spans.push({ text: " ".repeat(SPARK_GAP) });
    spans.push({ text: line === 1 ? shorten(words, sparkWidth, glyphs.more) : "", style: "dim" });
  }
  return spans;
}

function rowLine(
  state: TopState,
  layout: Layout,
  row: Row,
  isCursor: boolean,
  glyphs: Glyphs,
): Line {
  const { labelWidth, fields, gap, sparkWidth } = layout;
  const { service, worker } = row;
  const isAlarming = worker !== null && isStalled(worker);
  const style: Style | undefined = isAlarming ? "alert" : worker === null ? "bold" : undefined;
  const name = worker === null ? glyphs.text(service.name) : workerName(worker);
  const fold =
    worker !== null ? "  " : `${state.isOpen(service.name) ? glyphs.open : glyphs.closed} `;
  const label = shorten(
    fold + (worker === null ? "" : "  ") + name,
    labelWidth + INDENT - 2,
    glyphs.more,
  );
  const spans: Span[] = [
    { text: isCursor ? `${glyphs.cursor} ` : "  ", style: "accent" },
    { text: label, style: isCursor && !isAlarming ? "selected" : style },
    { text: " ".repeat(labelWidth + INDENT - 2 - widthOf(label)) },
  ];
  const [, workers, stalled] = FIXED;
  spans.push({ text: textIn(workers!, row).padStart(workers!.width + 1), style });
  const isStalledCell = textIn(stalled!, row) !== "" && textIn(stalled!, row) !== "-";
  spans.push({
    text: textIn(stalled!, row).padStart(stalled!.width + 1),
    style: isStalledCell ? "alert" : "dim",
  });
  for (const column of fields) {
    const text = textIn(column, row).padStart(column.width + gap);
    spans.push({ text, style: style === "alert" ? style : cellStyle(column, row, style) });
  }
  const { chosen } = state;
  if (sparkWidth > 0 && chosen !== null && chosen.kind !== "name") {
    const values = state.history.last(row.key, chosen.key, sparkWidth);
    const [line] = bars(values, 1, glyphs.levels, scaleOf(chosen, values));
    spans.push(
      { text: " ".repeat(SPARK_GAP) },
      { text: line!, style: isAlarming ? "alert" : "accent" },
    );
  }
  return spans;
}

/** What is nothing steps back. */
function cellStyle(column: Column, row: Row, style: Style | undefined): Style | undefined {
  const value = valueIn(column, row);
  if (value === undefined || Number(value) === 0) return "dim";
  if (column.unit === "share" && Number(value) >= NEARLY_FULL) return "warning";
  return style;
}

/** What fills a chart: a share has 1 as its highest, whatever is reached. */
export function scaleOf({ unit, kind }: Column, values: readonly number[]): number {
  const highest = highestOf(values);
  return unit === "share" && kind === "value" ? Math.max(1, highest) : highest;
}
