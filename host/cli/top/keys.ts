// What the keys do: in the last line, and in full.

import type { Line, Span } from "../screen.ts";
import { widthOf } from "../text_width.ts";
import type { Glyphs } from "./glyphs.ts";
import type { TopState } from "./state.ts";

/** Longer lines are hard to read. */
const WIDEST_TEXT = 90;

type Hint = readonly [key: string, what: string];

/** The last line: what matters most comes first, and what does not fit is left out. */
export function keyLine(state: TopState, glyphs: Glyphs, columns: number): Line {
  if (state.isFiltering) {
    const prompt = `/${state.filter}`;
    const spans: Span[] = [
      { text: prompt, style: "bold" },
      { text: " ", style: "selected" },
    ];
    const hints: Hint[] = [
      [glyphs.enter, "keep"],
      ["esc", "clear"],
    ];
    return [...spans, { text: "   " }, ...hinted(hints, columns - widthOf(prompt) - 4)];
  }
  if (state.isHelping) return hinted([["any key", "back"]], columns);
  return hinted(
    [
      ["q", "quit"],
      ["?", "help"],
      [glyphs.upDown, "rows"],
      [glyphs.leftRight, "columns"],
      [glyphs.enter, "fold"],
      ["s", "sort"],
      ["/", "filter"],
      ["p", state.isPaused ? "go on" : "pause"],
      ["e", "fold all"],
    ],
    columns,
  );
}

function hinted(hints: readonly Hint[], columns: number): Line {
  const spans: Span[] = [];
  let left = columns;
  for (const [key, what] of hints) {
    const gap = spans.length === 0 ? "" : "  ";
    left -= widthOf(`${gap}${key} ${what}`);
    if (left < 0) break;
    spans.push({ text: gap }, { text: key, style: "bold" }, { text: ` ${what}`, style: "dim" });
  }
  return spans;
}

/** In place of the table. */
export function helpLines(glyphs: Glyphs, columns: number, rows: number): Line[] {
  const hints: Hint[] = [
    [glyphs.upDown, "move between rows; also j k, pgup pgdn, home end"],
    [glyphs.leftRight, "choose a column, for the chart and the order"],
    [glyphs.enter, "show or hide the workers of a service; also space"],
    ["e", "show or hide all workers"],
    ["s", "order by the chosen column: most, least, as they came"],
    ["/", 'only services and workers with a text, such as "stalled" or "leaking"'],
    ["p", "pause, and go on"],
    ["q", "quit; also ctrl-c"],
  ];
  const notes = [
    "/s is per second, since the look before; total is since ever, also of workers that are " +
      "gone. A share (%) of a service is the mean of its workers.",
    "p50, p99: what half and 99% of the observations since the look before do not exceed, an " +
      "estimate.",
    "stalled: for how long the event loop has stood still, - where that is not known. " +
      "unmapped: writes through file I/O, and may be a moment late.",
    "leaking: what is in flight was never back at its lowest for ten minutes, or what " +
      "--leak-window says, while the counter of it went on.",
  ];
  const keyWidth = Math.max(...hints.map(([key]) => widthOf(key)));
  const lines: Line[] = [
    ...hints.map(([key, what]): Line => {
      const pad = " ".repeat(keyWidth - widthOf(key));
      return [{ text: `  ${key}${pad}  `, style: "accent" }, { text: what }];
    }),
    [],
    ...notes
      .flatMap((note) => wrapped(note, Math.min(columns, WIDEST_TEXT) - 4))
      .map((text): Line => [{ text: `  ${text}`, style: "dim" }]),
  ];
  return lines.slice(0, rows);
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}
