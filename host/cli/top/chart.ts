// The chosen field of the row under the cursor, over time, across the screen.

import type { Line, Span, Style } from "../screen.ts";
import { shorten } from "../text_width.ts";
import { isNumeric, valueIn } from "./columns.ts";
import type { Glyphs } from "./glyphs.ts";
import type { Row } from "./rows.ts";
import { bars, highestOf } from "./sparkline.ts";
import type { TopState } from "./state.ts";
import { scaleOf } from "./table.ts";
import { formatValue } from "./units.ts";

interface ChartOptions {
  readonly columns: number;
  readonly height: number;
  readonly glyphs: Glyphs;
}

/** A line that says what it is, and the lines of the chart. */
export function chartLines(state: TopState, row: Row | null, options: ChartOptions): Line[] {
  const { columns, height, glyphs } = options;
  const { chosen } = state;
  if (row === null || chosen === null) return Array.from({ length: height + 1 }, () => []);
  const said = saidBy(row, glyphs);
  if (!isNumeric(chosen)) {
    return [[whoseOf(row, glyphs), said], ...Array.from({ length: height }, () => [])];
  }
  const values = state.history.last(row.key, chosen.key, columns);
  const value = valueIn(chosen, row);
  const now = value === undefined ? "not known yet" : `${formatValue(value, chosen.unit)} now`;
  const highest = formatValue(highestOf(values), chosen.unit);
  const style: Style = "accent";
  return [
    [
      whoseOf(row, glyphs),
      { text: shorten(glyphs.text(chosen.title), 48, glyphs.more) },
      { text: `  ${now}, ${highest} at most  `, style: "dim" },
      said,
    ],
    ...bars(values, height, glyphs.levels, scaleOf(chosen, values)).map(
      (text): Line => [{ text, style }],
    ),
  ];
}

function whoseOf({ service, worker, name: own }: Row, glyphs: Glyphs): Span {
  const name = shorten(glyphs.text(service.name), 24, glyphs.more);
  return { text: `${worker === null ? name : `${name} ${own}`}  `, style: "bold" };
}

/** What the worker, or the newest one of the service, says of itself. */
function saidBy({ service, worker }: Row, glyphs: Glyphs): Span {
  const texts = Object.entries((worker ?? service).text ?? {});
  return { text: texts.map((words) => glyphs.text(words.join(" "))).join(", ") };
}
