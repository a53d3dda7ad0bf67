// What is drawn with, by what the terminal can show.

import { printable } from "../arguments.ts";

export interface Glyphs {
  /** From the least to the most. */
  readonly levels: readonly string[];
  readonly open: string;
  readonly closed: string;
  readonly cursor: string;
  readonly ascending: string;
  readonly descending: string;
  readonly more: string;
  readonly upDown: string;
  readonly leftRight: string;
  readonly enter: string;
  readonly rule: string;
  readonly dot: string;
  /** Foreign text, as it may be shown. */
  text(foreign: string): string;
}

export const UNICODE: Glyphs = {
  levels: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
  open: "▾",
  closed: "▸",
  cursor: "›",
  ascending: "↑",
  descending: "↓",
  more: "…",
  upDown: "↑↓",
  leftRight: "←→",
  enter: "⏎",
  rule: "─",
  dot: "·",
  text: printable,
};

export const PLAIN: Glyphs = {
  levels: ["_", ".", ":", "-", "=", "+", "*", "#"],
  open: "-",
  closed: "+",
  cursor: ">",
  ascending: "^",
  descending: "v",
  more: "~",
  upDown: "up/down",
  leftRight: "left/right",
  enter: "enter",
  rule: "-",
  dot: "-",
  text: (foreign) => printable(foreign).replace(/[^\x20-\x7e]/gu, "?"),
};

/** As the locale says: the first of these variables that is set decides. */
export function glyphsOf({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): Glyphs {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || "") ? UNICODE : PLAIN;
}
