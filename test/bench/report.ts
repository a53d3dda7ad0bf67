// The result for people: what it depends on, tables, and how many targets are met.

import type { Environment } from "./environment.ts";
import type { Results } from "./results.ts";
import { type Table, tablesOf } from "./tables.ts";

/** With columns in line, for a terminal. */
export function formatReport(environment: Environment, results: Results): string {
  const head = Object.entries(environment).map(([key, value]) => `${key}: ${value}`);
  return joined(head.join("\n"), tablesOf(results).map(aligned), results);
}

/** As docs/benchmarks.md shows it. */
export function formatMarkdown(environment: Environment, results: Results): string {
  const head = Object.entries(environment).map(([key, value]) => `${key} ${value}`);
  return joined(`${head.join("; ")}.`, tablesOf(results).map(marked), results);
}

function joined(head: string, tables: readonly string[], results: Results): string {
  const { notMeasured, failures, targets } = results;
  const skipped = notMeasured.map(({ name, reason }) => `- Not measured: ${name} (${reason})`);
  const failed = failures.map((failure) => `- FAILED CHECK: ${failure}`);
  const summary = `${targets.met} of ${targets.of} targets met.`;
  const lists = [skipped, failed].map((list) => list.join("\n"));
  return [head, ...tables, ...lists, summary].filter((part) => part !== "").join("\n\n");
}

function aligned({ head, lines }: Table): string {
  const all = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  const texts = all.map((line) => line.map((cell, i) => cell.padEnd(widths[i]!)).join("  "));
  return texts.map((text) => text.trimEnd()).join("\n");
}

function marked({ head, right, lines }: Table): string {
  const rule = head.map((_, column) => (right.has(column) ? "---:" : "---"));
  const emphatic = (cell: string): string => (cell === "NO" ? "**no**" : cell);
  const all = [head, rule, ...lines.map((line) => line.map(emphatic))];
  return all.map((line) => `| ${line.join(" | ")} |`).join("\n");
}
