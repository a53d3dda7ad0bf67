// The table itself: as many columns as fit, and the rows of the window.

import { isLeaking, isStalled } from "../frame.ts";
import type { Line, Span, Style } from "../screen.ts";
import { shorten, widthOf } from "../text_width.ts";
import { type Column, FIXED, isNumeric, saidIn, textIn, valueIn } from "./columns.ts";
import type { Glyphs } from "./glyphs.ts";
import { allRows, type Row } from "./rows.ts";
import { bars, highestOf } from "./sparkline.ts";
import type { TopState } from "./state.ts";

/** Where everything is, from left to right. */
export interface Layout {
  readonly labelWidth: number;
  /** What is always there, and the fields for which there is room. */
  readonly columns: readonly Column[];
  readonly fieldCount: number;
  /** Before each field. */
  readonly gap: number;
  /** 0: there is no room for one. */
  readonly sparkWidth: number;
}

const CURSOR_WIDTH = 2;
/** Whether a service is open; and its workers are a step to the right. */
const FOLD = "  ";
const STEP = "  ";
/** The heading of the labels. */
const LEAST_LABEL = 15;
const MOST_LABEL = 30;
const WIDEST_GAP = 3;
const SPARK_GAP = 2;
const MOST_SPARK = 40;
/** Below this there is no room for a sparkline, and below the other no need to save any. */
const NARROW = 60;
const ROOMY = 100;
/** Busier than this is nearly too busy. */
const NEARLY_FULL = 0.9;

/** Fits the fields around the chosen one, after those that are always there. */
export function layoutOf(state: TopState, columns: number, glyphs: Glyphs): Layout {
  const widths = allRows(state.frame).map((row) => widthOf(labelOf(row, state, glyphs)));
  const most = columns < ROOMY ? LEAST_LABEL + 5 : MOST_LABEL;
  const labelWidth = Math.min(Math.max(LEAST_LABEL, ...widths), most);
  const [, workers, stalled] = FIXED;
  const leading = columns < NARROW ? [stalled!] : [workers!, stalled!];
  const taken = leading.reduce((sum, { width }) => sum + width + 1, CURSOR_WIDTH + labelWidth);
  const hasSpark = state.chosen !== null && columns >= NARROW;
  const leastSpark = columns < ROOMY ? 10 : 16;
  const room = columns - taken - (hasSpark ? leastSpark + SPARK_GAP : 0);

  const { first, count } = fittingFields(state, room);
  state.firstField = first;
  const fields = state.columns.slice(first, first + count);
  const used = fields.reduce((sum, { width }) => sum + width, 0);
  const gap = Math.max(1, Math.min(WIDEST_GAP, Math.floor((room - used) / Math.max(1, count))));
  const left = columns - taken - used - gap * count - SPARK_GAP;
  return {
    labelWidth,
    columns: [...leading, ...fields],
    fieldCount: count,
    gap,
    sparkWidth: hasSpark ? Math.max(0, Math.min(MOST_SPARK, left)) : 0,
  };
}

function labelOf({ service, worker, name }: Row, state: TopState, glyphs: Glyphs): string {
  if (worker !== null) return FOLD + STEP + name;
  return `${state.isOpen(service.name) ? glyphs.open : glyphs.closed} ${glyphs.text(name)}`;
}

/** Fixed columns are a step apart, fields as far as there is room. */
function gapOf({ field }: Column, { gap }: Layout): number {
  return field === "" ? 1 : gap;
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
  const { labelWidth, columns, sparkWidth } = layout;
  const { chosen, order } = state;
  // A block of both lines is the chosen column; an arrow in the lower one, the order.
  const cell = ({ key, heading }: Column, width: number, isLeft = false): Span => {
    const isOrdered = line === 1 && order?.column.key === key;
    const mark = isOrdered ? (order.isDescending ? glyphs.descending : glyphs.ascending) : "";
    const text = mark + shorten(heading[line], width - widthOf(mark), glyphs.more);
    const padding = " ".repeat(Math.max(0, width - widthOf(text)));
    const style = chosen?.key === key ? "selected" : "dim";
    return { text: isLeft ? text + padding : padding + text, style };
  };
  const spans: Span[] = [blank(CURSOR_WIDTH), cell(FIXED[0]!, labelWidth, true)];
  for (const column of columns) {
    spans.push(blank(gapOf(column, layout)), cell(column, column.width));
  }
  if (line === 1 && sparkWidth > 0 && chosen !== null && isNumeric(chosen)) {
    const [above, below] = chosen.heading;
    const words = chosen.kind === "rate" ? above + below : `${above} ${below}`.trim();
    const text = shorten(words, sparkWidth, glyphs.more);
    spans.push(blank(SPARK_GAP), { text, style: "dim" });
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
  const { labelWidth, columns, sparkWidth } = layout;
  const isAlarming = row.worker !== null && isStalled(row.worker);
  const style = styleOf(row);
  const label = shorten(labelOf(row, state, glyphs), labelWidth, glyphs.more);
  const spans: Span[] = [
    { text: (isCursor ? glyphs.cursor : "").padEnd(CURSOR_WIDTH), style: "accent" },
    { text: label, style: isCursor && !isAlarming ? "selected" : style },
    blank(labelWidth - widthOf(label)),
  ];
  for (const column of columns) {
    const text = cellText(column, row, glyphs).padStart(column.width + gapOf(column, layout));
    spans.push({ text, style: isAlarming ? "alert" : cellStyle(column, row, style) });
  }
  const { chosen } = state;
  if (sparkWidth > 0 && chosen !== null && isNumeric(chosen)) {
    const values = state.history.last(row.key, chosen.key, sparkWidth);
    const [text] = bars(values, 1, glyphs.levels, scaleOf(chosen, values));
    spans.push(blank(SPARK_GAP), { text: text!, style: isAlarming ? "alert" : "accent" });
  }
  return spans;
}

function blank(width: number): Span {
  return { text: " ".repeat(width) };
}

function styleOf({ worker }: Row): Style | undefined {
  if (worker === null) return "bold";
  if (isStalled(worker)) return "alert";
  return isLeaking(worker) ? "warning" : undefined;
}

function cellText(column: Column, row: Row, glyphs: Glyphs): string {
  if (column.kind !== "text") return textIn(column, row);
  return shorten(glyphs.text(saidIn(column, row) ?? ""), column.width, glyphs.more);
}

/** What is nothing steps back. */
function cellStyle(column: Column, row: Row, style: Style | undefined): Style | undefined {
  const value = valueIn(column, row);
  if (column.kind === "text") return undefined;
  if (column.kind === "stalled") return value ? "alert" : "dim";
  if (value === undefined || Number(value) === 0) return "dim";
  if (row.worker !== null && style === "warning") {
    const isMeant = column.kind === "value" && Object.hasOwn(row.worker.leaking!, column.field);
    return isMeant ? "warning" : undefined;
  }
  if (column.unit === "share" && Number(value) >= NEARLY_FULL) return "warning";
  return style;
}

/** What fills a chart: a share has 1 as its highest, whatever is reached. */
export function scaleOf({ unit, kind }: Column, values: readonly number[]): number {
  const highest = highestOf(values);
  return unit === "share" && kind === "value" ? Math.max(1, highest) : highest;
}
