// The terminal: whole screens without flicker, and everything put back at the end.

import type { WriteStream } from "node:tty";

export type Style = "bold" | "dim" | "alert";

/** A piece of a line. */
export interface Span {
  readonly text: string;
  readonly style?: Style | undefined;
}

export type Line = readonly Span[];

const STYLES: Readonly<Record<Style, string>> = {
  bold: "\x1b[1m",
  dim: "\x1b[2m",
  alert: "\x1b[1;33m",
};
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
// A terminal that knows synchronized updates shows nothing half-drawn; others ignore this.
const BEGIN = "\x1b[?2026h\x1b[H";
const END = "\x1b[?2026l";
const END_OF_LINE = "\x1b[K";
const REST_OF_SCREEN = "\x1b[J";

/** A line as text of at most `columns` characters. */
export function paint(line: Line, columns: number, color: boolean): string {
  let left = columns;
  let text = "";
  for (const span of line) {
    const cut = [...span.text].slice(0, left).join("");
    left -= [...cut].length;
    if (cut === "") continue;
    const style = color && span.style !== undefined ? STYLES[span.style] : "";
    text += style === "" ? cut : `${style}${cut}\x1b[0m`;
  }
  return text;
}

/** Whether styles are wanted; see no-color.org. */
export function wantsColor(environment: NodeJS.ProcessEnv = process.env): boolean {
  return !environment.NO_COLOR;
}

/**
 * The alternate screen of a terminal. `leave` shows again what was there before; it also happens
 * when the process exits or is suspended.
 */
export class Screen {
  readonly #output: WriteStream;
  readonly #render: (columns: number, rows: number) => readonly Line[];
  readonly #color: boolean = wantsColor();
  #active = false;
  readonly #exit = (): void => this.#restore();
  readonly #resize = (): void => this.draw();
  readonly #suspend = (): void => {
    this.#restore();
    process.kill(process.pid, "SIGSTOP");
  };
  readonly #resume = (): void => {
    this.#active = true;
    this.#output.write(ENTER);
    this.draw();
  };

  /** @param render makes the lines for a screen of this size. */
  constructor(output: WriteStream, render: (columns: number, rows: number) => readonly Line[]) {
    this.#output = output;
    this.#render = render;
  }

  enter(): void {
    process.on("exit", this.#exit);
    process.on("SIGTSTP", this.#suspend);
    process.on("SIGCONT", this.#resume);
    this.#output.on("resize", this.#resize);
    this.#resume();
  }

  draw(): void {
    if (!this.#active) return;
    const { columns = 80, rows = 24 } = this.#output;
    const lines = this.#render(columns, rows).slice(0, rows);
    const text = lines.map((line) => paint(line, columns, this.#color) + END_OF_LINE);
    this.#output.write(BEGIN + text.join("\r\n") + REST_OF_SCREEN + END);
  }

  /** Ends it, and leaves the last picture among the lines of the terminal. */
  leave(): void {
    if (!this.#active) return;
    process.off("exit", this.#exit);
    process.off("SIGTSTP", this.#suspend);
    process.off("SIGCONT", this.#resume);
    this.#output.off("resize", this.#resize);
    this.#restore();
    const { columns = 80 } = this.#output;
    const lines = this.#render(columns, Number.POSITIVE_INFINITY);
    this.#output.write(lines.map((line) => `${paint(line, columns, this.#color)}\n`).join(""));
  }

  #restore(): void {
    if (!this.#active) return;
    this.#active = false;
    this.#output.write(LEAVE);
  }
}
