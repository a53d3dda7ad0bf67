// The result for people: a table.

import type { Environment } from "./environment.ts";
import type { Results } from "./results.ts";
import type { Row } from "./row.ts";

export function formatReport(environment: Environment, results: Results): string {
  const head = Object.entries(environment).map(([key, value]) => `${key}: ${value}`);
  const lines = [
    ["", "figure", "rival's", "ratio [min..max]", "target", "met", "rival"],
    ...results.rows.map(cells),
  ];
  const widths = lines[0]!.map((_, column) =>
    Math.max(...lines.map((line) => line[column]!.length)),
  );
  const table = lines.map((line) => line.map((cell, i) => cell.padEnd(widths[i]!)).join("  "));
  const skipped = results.notMeasured.map(
    ({ name, reason }) => `not measured: ${name} (${reason})`,
  );
  const failed = results.failures.map((failure) => `FAILED CHECK: ${failure}`);
  const parts = [head, table, skipped, failed].filter((part) => part.length > 0);
  return parts.map((part) => part.map((line) => line.trimEnd()).join("\n")).join("\n\n");
}

function cells(row: Row): string[] {
  const spread = row.spread.map(short).join("..");
  return [
    row.name,
    `${short(row.figure)} ${row.unit}`,
    row.rivalFigure === null ? "" : `${short(row.rivalFigure)} ${row.unit}`,
    row.ratio === null ? `[${spread}]` : `${short(row.ratio)} [${spread}]`,
    row.target ?? "",
    row.met === null ? "" : row.met ? "yes" : "NO",
    row.rival ?? "",
  ];
}

/** Three digits are more than such figures hold. */
function short(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 100) return String(Math.round(value));
  return String(Number(value.toPrecision(3)));
}
