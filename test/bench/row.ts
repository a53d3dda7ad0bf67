// One line of the result: a figure, what it is compared with, and whether a target is met.

import { median } from "./rounds.ts";

/** As `--json` prints it. */
export interface Row {
  /** Never changes, so that results can be compared over time. */
  readonly name: string;
  readonly target: string | null;
  /** Ours: the median over the rounds. */
  readonly figure: number;
  readonly unit: string;
  readonly rival: string | null;
  readonly rivalFigure: number | null;
  /**
   * The median over the rounds: figure ÷ rival, or rival ÷ figure where `target` is how many times
   * faster it should be.
   */
  readonly ratio: number | null;
  /** Smallest and largest ratio, or figure where there is no rival. */
  readonly spread: readonly [number, number];
  /** Null where there is no target. */
  readonly met: boolean | null;
}

export type Target =
  /** The figure is at most, or at least, this. */
  | { readonly atMost: number }
  | { readonly atLeast: number }
  /** The figure is at most so many times the rival's. */
  | { readonly timesRival: number }
  /** The figure is better than the rival's by this factor. */
  | { readonly timesFaster: number };

export interface Rival {
  readonly name: string;
  /** Of the same rounds; a single one stands for all of them. */
  readonly figures: readonly number[];
}

/** A row from the figures of the rounds. */
export function makeRow(
  name: string,
  unit: string,
  figures: readonly number[],
  { rival, target, faster }: { rival?: Rival | undefined; target?: Target; faster?: boolean } = {},
): Row {
  const inverse = faster === true || (target !== undefined && "timesFaster" in target);
  const ratios = figures.map((figure, round) => {
    if (rival === undefined) return figure;
    const other = rival.figures.length === 1 ? rival.figures[0]! : rival.figures[round]!;
    return inverse ? other / figure : figure / other;
  });
  const ratio = rival === undefined ? null : median(ratios);
  const figure = median(figures);
  return {
    name,
    target: target === undefined ? null : targetText(target, unit),
    figure,
    unit,
    rival: rival?.name ?? null,
    rivalFigure: rival === undefined ? null : median(rival.figures),
    ratio,
    spread: [Math.min(...ratios), Math.max(...ratios)],
    met: target === undefined ? null : isMet(target, figure, ratio),
  };
}

function targetText(target: Target, unit: string): string {
  if ("atMost" in target) return `≤ ${target.atMost} ${unit}`;
  if ("atLeast" in target) return `≥ ${target.atLeast} ${unit}`;
  if ("timesRival" in target) return `≤ ${target.timesRival} × rival`;
  return `≥ ${target.timesFaster} × faster`;
}

function isMet(target: Target, figure: number, ratio: number | null): boolean {
  if ("atMost" in target) return figure <= target.atMost;
  if ("atLeast" in target) return figure >= target.atLeast;
  if (ratio === null) return false;
  return "timesRival" in target ? ratio <= target.timesRival : ratio >= target.timesFaster;
}
