// A frame as a table: a row for each service, and below it one for each of its workers.

import { printable } from "./arguments.ts";
import { type Column, type Frame, isStalled, type ServiceFrame, type Values } from "./frame.ts";
import type { Line, Span, Style } from "./screen.ts";
import { cut, widthOf } from "./text_width.ts";
import { formatValue, unitOf } from "./top/units.ts";

export interface TableOptions {
  readonly columns: number;
  /** Workers are left out, and counted, where the table would be longer. */
  readonly rows: number;
  /** Whether what they say of themselves has a line below each of them. */
  readonly texts?: boolean;
}

/** One column of text: two lines of heading, and a cell of each row. */
interface TextColumn {
  readonly heading: readonly [string, string];
  readonly cell: (row: Values) => string;
  readonly isRate: boolean;
  readonly roomyWidth: number;
}

interface Row {
  readonly label: Line;
  readonly values: Values | null;
  readonly style?: Style | undefined;
}

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const fraction = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });

/** The lines of the table, none longer than `columns` where that can be. */
export function renderTable(frame: Frame, options: TableOptions): Line[] {
  const rows = rowsOf(frame, options);
  const labelled = rows.filter(({ values }) => values !== null);
  const labelWidth = Math.max(...labelled.map(({ label }) => lineWidth(label)), 16);
  const columns = [...frame.columns.flatMap(textColumns), ...histogramColumns(frame)];
  const needed = columns.map(({ heading, cell }) => {
    const cells = rows.map(({ values }) => (values === null ? "" : cell(values)));
    return Math.max(...[...heading, ...cells].map(widthOf));
  });
  const { shown, widths, gap } = fit(columns, needed, options.columns - labelWidth);

  const line = (label: Line, texts: (column: TextColumn) => string, style?: Style): Line => {
    const spans: Span[] = [...label, { text: " ".repeat(labelWidth - lineWidth(label)) }];
    for (const index of shown) {
      const column = columns[index]!;
      const text = texts(column).padStart(widths[index]! + gap);
      spans.push({ text, style: style ?? (column.isRate ? "dim" : undefined) });
    }
    return spans;
  };
  const title: Line = [{ text: "service, workers", style: "dim" }];
  return [
    line([], ({ heading }) => heading[0], "dim"),
    line(title, ({ heading }) => heading[1], "dim"),
    ...rows.flatMap(({ label, values, style }) =>
      values === null ? [label] : [line(label, ({ cell }) => cell(values), style)],
    ),
  ];
}

/** Which columns there is room for, how wide, and how far apart. Rates go first. */
function fit(
  columns: readonly TextColumn[],
  needed: readonly number[],
  available: number,
): { shown: readonly number[]; widths: readonly number[]; gap: number } {
  const all = columns.map((_, index) => index);
  // With some room to grow, columns do not move with every digit.
  const roomy = needed.map((width, index) => Math.max(width, columns[index]!.roomyWidth));
  for (const { widths, gap } of [
    { widths: roomy, gap: 3 },
    { widths: roomy, gap: 2 },
    { widths: needed, gap: 2 },
    { widths: needed, gap: 1 },
  ]) {
    if (sum(all, widths, gap) <= available) return { shown: all, widths, gap };
  }
  const shown = all.filter((index) => !columns[index]!.isRate);
  while (shown.length > 1 && sum(shown, needed, 1) > available) shown.pop();
  return { shown, widths: needed, gap: 1 };
}

function sum(shown: readonly number[], widths: readonly number[], gap: number): number {
  return shown.reduce((total, index) => total + widths[index]! + gap, 0);
}

/** `bytes_sent_total` becomes `bytes_sent` above `total`. */
function textColumns({ name, isCounter }: Column): TextColumn[] {
  const cut = name.lastIndexOf("_");
  const above = cut > 0 ? name.slice(0, cut) : "";
  const heading = [printable(above), printable(name.slice(cut > 0 ? cut + 1 : 0))] as const;
  const value = (row: Values): string => formatNumber(row.values.get(name));
  const columns: TextColumn[] = [
    { heading, cell: value, isRate: false, roomyWidth: isCounter ? 11 : 5 },
  ];
  if (isCounter) {
    const rate = (row: Values): string => formatNumber(row.rates.get(name), whole);
    columns.push({ heading: ["", "/s"], cell: rate, isRate: true, roomyWidth: 7 });
  }
  return columns;
}

/** How much was observed, how fast, and how large most of it and nearly all of it is. */
function histogramColumns({ histograms, services }: Frame): TextColumn[] {
  return histograms.flatMap((name) => {
    const unit = unitOf(name);
    const quantile = (part: "p50" | "p99", above: string): TextColumn => ({
      heading: [above, part],
      cell: (row) => {
        const values = row.histograms.get(name);
        if (values === undefined) return "";
        const value = values[part];
        return value === undefined ? "-" : formatValue(value, unit);
      },
      isRate: false,
      roomyWidth: 6,
    });
    const count: TextColumn = {
      heading: [printable(name), "count"],
      cell: (row) => formatNumber(row.histograms.get(name)?.count),
      isRate: false,
      roomyWidth: 11,
    };
    const rate: TextColumn = {
      heading: ["", "/s"],
      cell: (row) => formatNumber(row.histograms.get(name)?.rate, whole),
      isRate: true,
      roomyWidth: 7,
    };
    // What is over has no rates.
    const hasRates = services.some((row) => row.histograms.get(name)?.rate !== undefined);
    return [count, ...(hasRates ? [rate] : []), quantile("p50", ""), quantile("p99", "")];
  });
}

/** Empty where there is no number. */
export function formatNumber(
  value: number | bigint | undefined,
  format: Intl.NumberFormat = fraction,
): string {
  if (value === undefined) return "";
  return format.format(value);
}

function rowsOf({ services }: Frame, { rows, texts = false }: TableOptions): Row[] {
  // Two lines of heading, and an empty one between services.
  const room = rows - 2 - services.length * 2 + 1;
  const result: Row[] = [];
  const limits = shares(services, room);
  for (const [index, service] of services.entries()) {
    if (index > 0) result.push({ label: [], values: null });
    result.push({ label: serviceLabel(service), values: service, style: "bold" });
    if (texts) result.push(...textRows(service.text, "  "));
    // Where not all fit, stalled ones come first.
    const limit = limits[index]!;
    const isCut = service.workers.length > limit;
    const order = isCut
      ? [...service.workers].sort((a, b) => Number(isStalled(b)) - Number(isStalled(a)))
      : service.workers;
    const shown = isCut ? order.slice(0, Math.max(0, limit - 1)) : order;
    for (const worker of shown) {
      const style: Style | undefined = isStalled(worker) ? "alert" : undefined;
      const mark = isStalled(worker) ? ` stalled ${Math.floor(worker.stalledFor!)} s` : "";
      const text = `  pid ${worker.processId ?? "?"}${mark}`;
      result.push({ label: [{ text, style }], values: worker, style });
      if (texts) result.push(...textRows(worker.text, "    "));
    }
    const left = service.workers.length - shown.length;
    if (left > 0) {
      result.push({ label: [{ text: `  and ${left} more`, style: "dim" }], values: null });
    }
  }
  return result;
}

/** They take no part in the width of the labels. */
function textRows(texts: Readonly<Record<string, string>> | undefined, indent: string): Row[] {
  if (texts === undefined) return [];
  const words = Object.entries(texts).map(([name, text]) => printable(`${name} ${text}`));
  return [{ label: [{ text: indent + words.join(", "), style: "dim" }], values: null }];
}

/** How many rows the workers of each service may have: as many as they need, or equal shares. */
function shares(services: readonly ServiceFrame[], room: number): number[] {
  let left = Math.max(0, room);
  const limits = new Map<ServiceFrame, number>();
  const byNeed = [...services].sort((a, b) => a.workers.length - b.workers.length);
  for (const [index, service] of byNeed.entries()) {
    const share = Math.floor(left / (byNeed.length - index));
    const limit = Math.min(service.workers.length, share);
    limits.set(service, limit);
    left -= limit;
  }
  return services.map((service) => limits.get(service)!);
}

function serviceLabel({ name, workerCount, stalledCount }: ServiceFrame): Line {
  const workers = workerCount === 1 ? "1 worker" : `${workerCount} workers`;
  const label: Span[] = [
    { text: cut(printable(name), 20), style: "bold" },
    { text: `  ${workers}`, style: "dim" },
  ];
  if (stalledCount > 0) label.push({ text: `, ${stalledCount} stalled`, style: "alert" });
  return label;
}

function lineWidth(line: Line): number {
  return line.reduce((width, { text }) => width + widthOf(text), 0);
}
