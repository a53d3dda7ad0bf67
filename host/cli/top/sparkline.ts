// Values over time, in a line or a few.

/**
 * Lines of text, the top one first, of a bar for each value; nothing for those that are not known.
 *
 * @param levels from the least to the most of one line.
 * @param highest what fills all lines.
 */
export function bars(
  values: readonly number[],
  height: number,
  levels: readonly string[],
  highest: number,
): string[] {
  const full = levels.length;
  const steps = values.map((value) => {
    if (Number.isNaN(value)) return 0;
    // Zero has a bar, too: somebody was there and did nothing.
    const share = highest > 0 ? Math.min(1, Math.max(0, value / highest)) : 0;
    return Math.max(1, Math.round(share * full * height));
  });
  return Array.from({ length: height }, (_, line) => {
    const below = (height - 1 - line) * full;
    const text = steps.map((step) => {
      const level = Math.min(full, step - below);
      return level > 0 ? levels[level - 1]! : " ";
    });
    return text.join("");
  });
}

/** The highest known value, 0 if there is none. */
export function highestOf(values: readonly number[]): number {
  return Math.max(0, ...values.filter((value) => !Number.isNaN(value)));
}
