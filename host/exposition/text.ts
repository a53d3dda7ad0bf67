// Families as text: of the format 0.0.4, and of OpenMetrics 1.0.

import type { MetricFamily, MetricSample } from "./family.ts";

export type MetricsFormat = "text" | "openmetrics";

/** The whole text of one scrape. */
export function formatFamilies(families: readonly MetricFamily[], format: MetricsFormat): string {
  const isPlain = format === "text";
  const names = isPlain ? null : sampleNames(families);
  const labelTexts = new Map<MetricSample["labels"], string>();
  let text = "";
  for (const family of families) {
    text += names === null ? plainHead(family) : openMetricsHead(family, names);
    for (const { suffix, labels, value } of family.samples) {
      // All samples of a service, or of a worker, share their labels; a bucket has its own.
      let labelText = suffix === "_bucket" ? textOf(labels) : labelTexts.get(labels);
      if (labelText === undefined) {
        labelText = textOf(labels);
        labelTexts.set(labels, labelText);
      }
      text += `${family.name}${suffix}${labelText} ${numberText(value)}\n`;
    }
  }
  return isPlain ? text : `${text}# EOF\n`;
}

function sampleNames(families: readonly MetricFamily[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { name, samples } of families) {
    names.add(name);
    for (const { suffix } of samples) names.add(name + suffix);
  }
  return names;
}

function openMetricsHead(
  { name, type, help, unit }: MetricFamily,
  names: ReadonlySet<string>,
): string {
  const base = type === "counter" ? name.slice(0, -"_total".length) : name;
  // A family is called without `_total`, and owns `_created`: others may have these names already.
  const isTaken =
    type === "counter" &&
    ["", "_created", "_created_total"].some((suffix) => names.has(base + suffix));
  const family = isTaken ? name : base;
  const isUnit = unit !== undefined && /^\w+$/.test(unit) && family.endsWith(`_${unit}`);
  return (
    `# TYPE ${family} ${isTaken ? "unknown" : type}\n` +
    (isUnit ? `# UNIT ${family} ${unit}\n` : "") +
    `# HELP ${family} ${escaped(help)}\n`
  );
}

function plainHead({ name, type, help }: MetricFamily): string {
  // Here quotes stay as they are.
  const text = /[\\\n]/.test(help) ? help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n") : help;
  return `# HELP ${name} ${text}\n# TYPE ${name} ${type}\n`;
}

function textOf(labels: MetricSample["labels"]): string {
  let text = "";
  for (const name in labels)
    text += `${text === "" ? "{" : ","}${name}="${escaped(labels[name]!)}"`;
  return text === "" ? "" : `${text}}`;
}

function escaped(text: string): string {
  return /[\\"\n]/.test(text)
    ? text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")
    : text;
}

/** Integers with all their digits. */
function numberText(value: number | bigint): string {
  if (typeof value === "bigint" || Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}
