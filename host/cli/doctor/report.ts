// Findings as text for a terminal.

import { printable } from "../arguments.ts";
import { type Line, paint, type Style } from "../screen.ts";
import { widthOf } from "../text_width.ts";
import type { Finding, Findings, Level } from "./findings.ts";

const STYLES: Readonly<Record<Level, Style>> = {
  ok: "accent",
  warning: "warning",
  error: "alert",
};
/** Of the level and of the check, a space behind each. */
const LEVEL_WIDTH = 10;
const CHECK_WIDTH = 13;
const FIX = "fix: ";
const NARROWEST = 20;

/** The whole report, no line longer than `columns` where its words allow it. */
export function renderReport(findings: Findings, columns: number, color: boolean): string {
  const lines: Line[] = [];
  let group = "";
  for (const finding of findings.list) {
    if (finding.group !== group) {
      if (group !== "") lines.push([]);
      lines.push([{ text: finding.group, style: "bold" }]);
      group = finding.group;
    }
    lines.push(...linesOf(finding, columns));
  }
  lines.push([], summary(findings));
  return lines.map((line) => `${paint(line, Number.POSITIVE_INFINITY, color)}\n`).join("");
}

function linesOf({ check, level, message, fix }: Finding, columns: number): Line[] {
  const indent = LEVEL_WIDTH + CHECK_WIDTH;
  const margin = " ".repeat(indent);
  const room = Math.max(NARROWEST, columns - indent);
  const [first = "", ...others] = wrap(printable(message), room);
  const fixes = fix === undefined ? [] : wrap(printable(fix), room - FIX.length);
  return [
    [
      { text: `  ${level}`.padEnd(LEVEL_WIDTH), style: STYLES[level] },
      { text: check.padEnd(CHECK_WIDTH) },
      { text: first, style: level === "ok" ? "dim" : undefined },
    ],
    ...others.map((text): Line => [{ text: `${margin}${text}`, style: dimmed(level) }]),
    ...fixes.map(
      (text, index): Line => [
        { text: `${margin}${index === 0 ? FIX : " ".repeat(FIX.length)}`, style: "bold" },
        { text },
      ],
    ),
  ];
}

function dimmed(level: Level): Style | undefined {
  return level === "ok" ? "dim" : undefined;
}

/** Lines of whole words. A word that is longer than a line, a path mostly, stays whole. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && widthOf(line) + 1 + widthOf(word) > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function summary(findings: Findings): Line {
  const [errors, warnings] = [findings.count("error"), findings.count("warning")];
  if (errors + warnings === 0) return [{ text: "All is well.", style: "bold" }];
  return [
    { text: counted(errors, "error"), style: errors > 0 ? "alert" : "bold" },
    { text: ", " },
    { text: counted(warnings, "warning"), style: warnings > 0 ? "warning" : "bold" },
  ];
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
