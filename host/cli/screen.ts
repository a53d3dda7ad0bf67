// The terminal: whole screens without flicker, and everything put back at the end.

import type { ReadStream, WriteStream } from "node:tty";
import { cut, widthOf } from "./text_width.ts";

export type Style = "bold" | "dim" | "alert" | "warning" | "accent" | "selected";

/** A piece of a line. */
export interface Span {
  readonly text: string;
  readonly style?: Style | undefined;
}

export type Line = readonly Span[];

// Readable on dark and light grounds alike.
const STYLES: Readonly<Record<Style, string>> = {
  bold: "\x1b[1m",
  dim: "\x1b[2m",
  alert: "\x1b[1;31m",
  warning: "\x1b[33m",
  accent: "\x1b[36m",
  selected: "\x1b[7m",
};
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
// A terminal that knows synchronized updates shows nothing half-drawn; others ignore this.
const BEGIN = "\x1b[?2026h";
const END = "\x1b[?2026l";
const EMPTY = "\x1b[H\x1b[J";
const END_OF_LINE = "\x1b[K";

/** A line as text of at most `columns` cells. */
export function paint(line: Line, columns: number, color: boolean): string {
  return painted(line, columns, color).text;
}

function painted(line: Line, columns: number, color: boolean): { text: string; width: number } {
  let width = 0;
  let text = "";
  for (const span of line) {
    const piece = cut(span.text, columns - width);
    width += widthOf(piece);
    if (piece === "") continue;
    const style = color && span.style !== undefined ? STYLES[span.style] : "";
    text += style === "" ? piece : `${style}${piece}\x1b[0m`;
  }
  return { text, width };
}

/** Whether styles are wanted; see no-color.org. */
export function wantsColor(environment: NodeJS.ProcessEnv = process.env): boolean {
  return !environment.NO_COLOR && environment.TERM !== "dumb";
}

/**
 * The alternate screen of a terminal. `leave` shows again what was there before; it also happens
 * when the process exits or is suspended.
 */
export class Screen {
  readonly #output: WriteStream;
  readonly #render: (columns: number, rows: number) => readonly Line[];
  readonly #input: ReadStream | null;
  readonly #color: boolean = wantsColor();
  #active = false;
  /** What the terminal shows, line by line. */
  #drawn: string[] | null = null;
  readonly #exit = (): void => this.#restore();
  readonly #resize = (): void => this.redraw();
  readonly #suspend = (): void => {
    this.#restore();
    process.kill(process.pid, "SIGSTOP");
  };
  readonly #resume = (): void => {
    this.#active = true;
    this.#drawn = null;
    this.#input?.setRawMode(true);
    this.#output.write(ENTER);
    this.draw();
  };

  /**
   * @param render makes the lines for a screen of this size.
   * @param input gives its keys one by one, and does not show them, as long as the screen is there.
   */
  constructor(
    output: WriteStream,
    render: (columns: number, rows: number) => readonly Line[],
    input: ReadStream | null = null,
  ) {
    this.#output = output;
    this.#render = render;
    this.#input = input;
  }

  enter(): void {
    process.on("exit", this.#exit);
    process.on("SIGTSTP", this.#suspend);
    process.on("SIGCONT", this.#resume);
    this.#output.on("resize", this.#resize);
    this.#resume();
  }

  /** A terminal that was never told its size says 0. */
  get #size(): { readonly columns: number; readonly rows: number } {
    const { columns, rows } = this.#output;
    return { columns: columns || 80, rows: rows || 24 };
  }

  /** Writes the lines that have changed, all at once. */
  draw(): void {
    if (!this.#active) return;
    const { columns, rows } = this.#size;
    const lines = this.#render(columns, rows)
      .slice(0, rows)
      .map((line) => {
        const { text, width } = painted(line, columns, this.#color);
        // Behind a full line the cursor still stands on its last character.
        return width < columns ? text + END_OF_LINE : text;
      });
    const before = this.#drawn;
    let text = before === null ? EMPTY : "";
    for (let row = 0; row < Math.max(lines.length, before?.length ?? 0); row++) {
      const line = lines[row] ?? END_OF_LINE;
      if (line !== (before?.[row] ?? END_OF_LINE)) text += `\x1b[${row + 1}H${line}`;
    }
    this.#drawn = lines;
    if (text !== "") this.#output.write(BEGIN + text + END);
  }

  /** Writes all lines, whatever the terminal shows: something else may have written to it. */
  redraw(): void {
    this.#drawn = null;
    this.draw();
  }

  /** Ends it, and leaves the last picture, if one is wanted, among the lines of the terminal. */
  leave({ picture = true }: { picture?: boolean } = {}): void {
    if (!this.#active) return;
    process.off("exit", this.#exit);
    process.off("SIGTSTP", this.#suspend);
    process.off("SIGCONT", this.#resume);
    this.#output.off("resize", this.#resize);
    this.#restore();
    if (!picture) return;
    const { columns } = this.#size;
    const lines = this.#render(columns, Number.POSITIVE_INFINITY);
    this.#output.write(lines.map((line) => `${paint(line, columns, this.#color)}\n`).join(""));
  }

  #restore(): void {
    if (!this.#active) return;
    this.#active = false;
    this.#output.write(LEAVE);
    this.#input?.setRawMode(false);
  }
}
