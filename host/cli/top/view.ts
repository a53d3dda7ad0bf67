// The live table as lines of text.

import type { Line, Span, Style } from "../screen.ts";
import { shorten, shortenStart, widthOf } from "../text_width.ts";
import { chartLines } from "./chart.ts";
import type { Glyphs } from "./glyphs.ts";
import { helpLines, keyLine } from "./keys.ts";
import { leakingRows, type Row, stalledRows } from "./rows.ts";
import type { TopState } from "./state.ts";
import { layoutOf, tableLines } from "./table.ts";
import { formatDuration } from "./units.ts";

export interface Scene {
  /** Where the values come from. */
  readonly path: string;
  /** How often they are read, as the command line says it. */
  readonly interval: string;
  readonly glyphs: Glyphs;
}

/** Title and state; two lines of heading; and the line of the keys. */
const FRAMING_ROWS = 5;
/** What a chart of one line takes. */
const CHART_ROWS = 2;
/** From here on the chart grows, by a line for each of so many. */
const ROOMY_ROWS = 28;
const ROWS_PER_CHART_LINE = 3;
const HIGHEST_CHART = 6;
const LEAST_TABLE_ROWS = 6;

/** The whole screen. Moves what is shown to where the cursor is. */
export function renderTop(state: TopState, scene: Scene, columns: number, rows: number): Line[] {
  const { glyphs } = scene;
  const troubles = troubleLines(state, glyphs, columns);
  if (troubles.length === 0) troubles.push([]);
  const spare = rows - FRAMING_ROWS - troubles.length;
  const chartHeight =
    spare - CHART_ROWS < LEAST_TABLE_ROWS
      ? 0
      : Math.min(
          HIGHEST_CHART,
          1 + Math.max(0, Math.floor((rows - ROOMY_ROWS) / ROWS_PER_CHART_LINE)),
        );
  const room = Math.max(1, spare - (chartHeight > 0 ? chartHeight + 1 : 0));

  const window = state.window(room);
  const layout = layoutOf(state, columns, glyphs);
  const hidden = state.columns.length - layout.fieldCount;
  const body = state.isHelping
    ? helpLines(glyphs, columns, room + 2)
    : tableLines(state, layout, window, glyphs);
  if (body.length === 2) body.push(emptyLine(state, glyphs));
  while (body.length < room + 2) body.push([]);

  const notes: string[] = [];
  if (window.count > room) {
    notes.push(`rows ${window.first + 1}-${window.first + window.rows.length}/${window.count}`);
  }
  if (hidden > 0) notes.push(`${counted(hidden, "more column")} ${glyphs.leftRight}`);
  const lines = [
    titleLine(state, scene, columns),
    twoSides(summary(state, glyphs), notes.join("  "), columns, glyphs),
    ...troubles,
    ...body,
  ];
  if (chartHeight > 0) {
    lines.push(...chartLines(state, window.cursor, { columns, height: chartHeight, glyphs }));
  }
  lines.push(keyLine(state, glyphs, columns));
  return state.failure === null ? lines : faded(lines);
}

/** All rows, without anything that needs keys. */
export function renderOnce(state: TopState, { glyphs }: Scene, columns: number): Line[] {
  const window = state.window(Number.POSITIVE_INFINITY);
  const layout = layoutOf(state, columns, glyphs);
  const hidden = state.columns.length - layout.fieldCount;
  const note = `, ${counted(hidden, "column")} left out`;
  const head = summary(state, glyphs);
  const lines: Line[] = [hidden > 0 ? [...head, { text: note }] : head];
  lines.push(...troubleLines(state, glyphs, columns));
  if (window.count === 0) return [...lines, emptyLine(state, glyphs)];
  return [...lines, [], ...tableLines(state, layout, window, glyphs)];
}

/** Values that are old are dim; the first lines say why. */
function faded(lines: readonly Line[]): Line[] {
  return lines.map((line, index) =>
    index < 2 || index === lines.length - 1
      ? line
      : line.map(({ text, style }) => ({ text, style: style === "selected" ? style : "dim" })),
  );
}

function titleLine(state: TopState, { path, interval, glyphs }: Scene, columns: number): Line {
  const title = "utilization top";
  const time = state.time.toTimeString().slice(0, 8);
  const right: Span[] = state.isPaused
    ? [{ text: " PAUSED ", style: "selected" }, { text: ` ${time}` }]
    : [{ text: `every ${interval}  ${time}`, style: "dim" }];
  const left = columns - title.length - 4 - lineWidth(right);
  const where = shortenStart(glyphs.text(path), Math.max(0, left), glyphs.more);
  const line: Span[] = [
    { text: title, style: "bold" },
    { text: `  ${where}`, style: "dim" },
  ];
  const gap = columns - lineWidth(line) - lineWidth(right);
  return [...line, { text: " ".repeat(Math.max(1, gap)) }, ...right];
}

function summary(state: TopState, glyphs: Glyphs): Line {
  if (state.failure !== null) {
    const last = state.time.toTimeString().slice(0, 8);
    return [
      { text: glyphs.text(state.failure), style: "alert" },
      { text: ` Last values of ${last}, trying again.` },
    ];
  }
  const { services } = state.frame;
  const workers = services.reduce((count, { workerCount }) => count + workerCount, 0);
  const line: Span[] = [
    { text: `${counted(services.length, "service")}, ${counted(workers, "worker")}` },
  ];
  if (state.filter !== "" && !state.isFiltering) {
    line.push({ text: ", with " }, { text: `"${glyphs.text(state.filter)}"`, style: "accent" });
  }
  if (state.order !== null) {
    const { column, isDescending } = state.order;
    const arrow = isDescending ? glyphs.descending : glyphs.ascending;
    line.push({ text: `, by ${glyphs.text(column.title)} ${arrow}` });
  }
  return line;
}

/** Who stands still, and who may leak: each is a line, where there is anybody. */
function troubleLines({ frame }: TopState, glyphs: Glyphs, columns: number): Line[] {
  const whose = ({ service, name }: Row): string =>
    `${shorten(glyphs.text(service.name), 20, glyphs.more)} ${name}`;
  const stalled = stalledRows(frame).map(
    (row) => `${whose(row)} for ${formatDuration(row.worker!.stalledFor!)}`,
  );
  const leaking = leakingRows(frame).map((row) => {
    const fields = Object.entries(row.worker!.leaking!);
    const lowest = fields.map(([field, value]) => `${glyphs.text(field)} >= ${value}`);
    return `${whose(row)} ${lowest.join(" ")}`;
  });
  return [
    ...namingLine(stalled, "stalled", "alert", columns),
    ...namingLine(leaking, "leaking", "warning", columns),
  ];
}

/** They are named wherever their rows are. */
function namingLine(each: readonly string[], what: string, style: Style, columns: number): Line[] {
  if (each.length === 0) return [];
  // As many as fit, but one at least.
  let text = "";
  for (let shown = 1; shown <= each.length; shown++) {
    const left = each.length - shown;
    const more = left > 0 ? `, and ${left} more` : "";
    const longer = `${each.length} ${what}: ${each.slice(0, shown).join(", ")}${more}`;
    if (shown > 1 && widthOf(longer) > columns) break;
    text = longer;
  }
  return [[{ text, style }]];
}

function emptyLine({ frame, filter }: TopState, glyphs: Glyphs): Line {
  const text =
    frame.services.length === 0
      ? "No worker has registered yet."
      : `Nothing has "${glyphs.text(filter)}".`;
  return [{ text: `  ${text}`, style: "dim" }];
}

/** The right side goes before the left one where there is no room for both. */
function twoSides(left: Line, right: string, columns: number, glyphs: Glyphs): Line {
  const room = columns - widthOf(right) - 2;
  if (right === "" || room < columns / 3) return left;
  let width = 0;
  const spans: Span[] = [];
  for (const { text, style } of left) {
    const short = shorten(text, room - width, glyphs.more);
    spans.push({ text: short, style });
    width += widthOf(short);
    if (short !== text) break;
  }
  return [
    ...spans,
    { text: " ".repeat(columns - widthOf(right) - width) },
    { text: right, style: "accent" },
  ];
}

function counted(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`;
}

function lineWidth(line: Line): number {
  return line.reduce((width, { text }) => width + widthOf(text), 0);
}
