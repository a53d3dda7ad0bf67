import type { Trial } from "./trial.ts";

const HEAD = ["what", "tried", "lost", "crashed", "seconds"];

/** The trials as a table in Markdown: docs/reliability.md has it as it is printed. */
export function formatTrials(trials: readonly Trial[]): string {
  const rows = trials.map(({ what, tried, lost, crashed, seconds, skipped, notes }) =>
    skipped
      ? [what, `SKIPPED: ${notes.join("; ")}`, "-", "-", "-"]
      : [what, tried, String(lost), String(crashed), seconds.toFixed(1)],
  );
  const widths = HEAD.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => row[column]!.length)),
  );
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, column) =>
      column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
    );
    return `| ${padded.join(" | ")} |`;
  };
  const rule = widths.map((width, column) =>
    column < 2 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [line(HEAD), line(rule), ...rows.map(line)].join("\n");
}
