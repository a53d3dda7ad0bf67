// The columns of the table: what is in them, and how it is written.

import { printable } from "../arguments.ts";
import type { Frame, HistogramValues } from "../frame.ts";
import { shorten, widthOf } from "../text_width.ts";
import type { Row } from "./rows.ts";
import { formatDuration, formatValue, isShare, rateUnitOf, type Unit, unitOf } from "./units.ts";

type Value = number | bigint;

export interface Column {
  readonly key: string;
  readonly kind: "name" | "workers" | "stalled" | "value" | "rate" | "histogram" | "text";
  /** Of a histogram. */
  readonly part?: keyof HistogramValues;
  /** The field or histogram, as its workers call it; empty for those that are no field. */
  readonly field: string;
  /** What it is, in full. */
  readonly title: string;
  readonly heading: readonly [string, string];
  readonly unit: Unit;
  /** Wide enough for every number. */
  readonly width: number;
}

/** What every service has, before its fields. */
export const FIXED: readonly Column[] = [
  fixed("name", "service", ["", "service, worker"], 16),
  fixed("workers", "workers", ["", "workers"], 8),
  fixed("stalled", "stalled workers", ["", "stalled"], 7),
];

function fixed(
  kind: "name" | "workers" | "stalled",
  title: string,
  heading: readonly [string, string],
  width: number,
): Column {
  return { key: ` ${kind}`, kind, field: "", title, heading, unit: "plain", width };
}

const WIDTHS: Readonly<Record<Unit, number>> = { plain: 6, bytes: 7, seconds: 6, share: 5 };
const WIDEST_HEADING = 12;

/**
 * The columns of the fields: shares first, then how long things take, then how busy everybody is now;
 * counts since ever, and texts last.
 */
export function columnsOf({
  columns,
  histograms,
  texts = [],
}: Pick<Frame, "columns" | "histograms" | "texts">): Column[] {
  const shares: Column[] = [];
  const now: Column[] = [];
  const ever: Column[] = [];
  for (const { name, isCounter } of columns) {
    const title = printable(name);
    const words = title.replace(/_total$/, "").replace(/(?<=.)_(bytes|seconds|ratio)$/, "");
    if (isCounter) {
      now.push(column("rate", name, `${title} per second`, [words, "/s"], rateUnitOf(name)));
      ever.push(column("value", name, title, [words, "total"], unitOf(name)));
    } else {
      const list = isShare(name) ? shares : now;
      list.push(column("value", name, title, twoLines(words), unitOf(name)));
    }
  }
  const quantiles: Column[] = [];
  for (const name of histograms) {
    quantiles.push(histogramColumn(name, "p50"), histogramColumn(name, "p99"));
    now.push(histogramColumn(name, "rate"));
    ever.push(histogramColumn(name, "count"));
  }
  return [...shares, ...quantiles, ...now, ...ever, ...texts.map(textColumn)];
}

function histogramColumn(name: string, part: keyof HistogramValues): Column {
  const isQuantile = part !== "rate" && part !== "count";
  const title = printable(name);
  const words = title.replace(/(?<=.)(_duration|_latency)?(_bytes|_seconds)?$/, "");
  const [below, told] = part === "rate" ? ["/s", "per second"] : [part, part];
  const unit = isQuantile ? unitOf(name) : "plain";
  const base = column("histogram", name, `${title} ${told}`, [words, below], unit);
  return { ...base, key: `${part} ${name}`, part };
}

function column(
  kind: "value" | "rate" | "histogram",
  field: string,
  title: string,
  words: readonly [string, string],
  unit: Unit,
): Column {
  const [above, below] = words.map((word) => shorten(word, WIDEST_HEADING));
  const heading = [above!, below!] as const;
  const width = Math.max(...heading.map(widthOf), WIDTHS[unit]);
  return { key: `${kind} ${field}`, kind, field, title, heading, unit, width };
}

function textColumn(name: string): Column {
  const title = printable(name);
  const heading = ["", shorten(title, WIDEST_HEADING)] as const;
  const key = `text ${name}`;
  return { key, kind: "text", field: name, title, heading, unit: "plain", width: WIDEST_HEADING };
}

/** Whether there are numbers in it. */
export function isNumeric({ kind }: Column): boolean {
  return kind !== "name" && kind !== "text";
}

/** What a row says, if it says anything; foreign text. */
export function saidIn({ field }: Column, { service, worker }: Row): string | undefined {
  const { text } = worker ?? service;
  return text !== undefined && Object.hasOwn(text, field) ? text[field] : undefined;
}

/** The last word below the others. */
function twoLines(words: string): [string, string] {
  const short = words.replace(/_utilization$/, "_util");
  const at = short.lastIndexOf("_");
  return at > 0 ? [short.slice(0, at), short.slice(at + 1)] : ["", short];
}

/** What a row has in a column, if it has anything. A service's share is the mean of its workers. */
export function valueIn(
  { kind, field, part }: Column,
  { service, worker }: Row,
): Value | undefined {
  switch (kind) {
    case "name":
    case "text":
      return undefined;
    case "workers":
      return worker === null ? service.workerCount : undefined;
    case "stalled":
      return worker === null ? service.stalledCount : (worker.stalledFor ?? undefined);
    case "rate":
      return (worker ?? service).rates.get(field);
    case "histogram":
      return (worker ?? service).histograms.get(field)?.[part!];
    case "value": {
      if (worker !== null) return worker.values.get(field);
      const value = service.values.get(field);
      if (value === undefined || !isShare(field)) return value;
      return service.workerCount > 0 ? Number(value) / service.workerCount : undefined;
    }
  }
}

/** Empty where a row has no such field, "-" where the value is not known yet. */
export function textIn(column: Column, row: Row): string {
  const { kind, field, unit } = column;
  const { worker } = row;
  const value = valueIn(column, row);
  if (worker !== null && kind === "workers") return worker.mapping === "none" ? "unmapped" : "";
  if (worker !== null && kind === "stalled") {
    if (value === undefined) return "-";
    return Number(value) > 0 ? formatDuration(Number(value)) : "";
  }
  if (kind === "stalled" && value === 0) return "";
  if (value !== undefined) return formatValue(value, unit);
  const { values, histograms } = worker ?? row.service;
  const isUnknown = kind === "histogram" ? histograms.has(field) : values.has(field);
  return kind !== "value" && isUnknown ? "-" : "";
}
