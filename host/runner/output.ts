// Where the workers' words go: to our own outputs, each line with the worker's name before it.

import type { Readable, Writable } from "node:stream";
import { Prefixer } from "./prefixer.ts";

const COLOURS = [36, 33, 32, 35, 34, 31] as const;

export interface OutputOptions {
  readonly target: Writable;
  /** The longest name that will come, so that all lines begin in one column. */
  readonly width: number;
  readonly isColoured: boolean;
}

/** One of our outputs. Whoever reads it slowly slows down the workers, and fills no memory. */
export class Output {
  readonly #options: OutputOptions;
  readonly #sources: Set<Prefixer> = new Set();
  #isBroken = false;

  constructor(options: OutputOptions) {
    this.#options = options;
    const { target } = options;
    // Each worker adds its own.
    target.setMaxListeners(0);
    target.on("error", () => this.#break());
  }

  /** Passes on what a worker writes, until it ends. */
  attach(source: Readable, name: string, number: number, onLines?: (lines: Buffer) => void): void {
    const { target } = this.#options;
    const prefix = this.#prefix(name, number, "|");
    const continuation = this.#prefix(name, number, "+");
    const prefixer = new Prefixer({ prefix, continuation, onLines });
    this.#sources.add(prefixer);
    prefixer.once("close", () => this.#sources.delete(prefixer));
    source.on("error", () => prefixer.end());
    source.pipe(prefixer);
    if (this.#isBroken) prefixer.resume();
    else prefixer.pipe(target, { end: false });
  }

  #prefix(name: string, number: number, mark: string): string {
    const text = `${name.padEnd(this.#options.width)} ${mark}`;
    if (!this.#options.isColoured) return `${text} `;
    return `\u001b[${COLOURS[(number - 1) % COLOURS.length]}m${text}\u001b[0m `;
  }

  /** Nobody reads any more: workers shall not wait for it. */
  #break(): void {
    this.#isBroken = true;
    for (const prefixer of this.#sources) prefixer.unpipe(this.#options.target).resume();
  }
}
