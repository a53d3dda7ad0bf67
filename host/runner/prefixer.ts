// Puts a prefix before each line that a worker writes.

import { Transform, type TransformCallback } from "node:stream";

const NEWLINE = 0x0a;
const NOTHING = Buffer.alloc(0);
const LONGEST_LINE = 65_536;

export interface PrefixerOptions {
  /** Before a line. */
  readonly prefix: string;
  /** Before the second and later pieces of a line that is too long. */
  readonly continuation: string;
  /** Bytes of a line that are kept until its end is known; 65 536 by default. */
  readonly longest?: number | undefined;
  /** Is told what was written, in whole lines. */
  readonly onLines?: ((lines: Buffer) => void) | undefined;
}

/**
 * Passes on bytes by whole lines, whatever the pieces they come in: no character is cut, and lines
 * of several workers do not mix. A longer line is broken; one without an end gets one.
 */
export class Prefixer extends Transform {
  readonly #prefix: Buffer;
  readonly #continuation: Buffer;
  readonly #longest: number;
  readonly #onLines: (lines: Buffer) => void;
  #kept: Buffer = NOTHING;
  #isContinued = false;

  constructor({ prefix, continuation, longest = LONGEST_LINE, onLines }: PrefixerOptions) {
    super();
    this.#prefix = Buffer.from(prefix);
    this.#continuation = Buffer.from(continuation);
    this.#longest = longest;
    this.#onLines = onLines ?? (() => {});
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const lines: Buffer[] = [];
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end === -1) break;
      this.#keep(chunk.subarray(start, end), lines);
      this.#endLine(lines);
      start = end + 1;
    }
    this.#keep(chunk.subarray(start), lines);
    this.#pass(lines);
    done();
  }

  override _flush(done: TransformCallback): void {
    const lines: Buffer[] = [];
    if (this.#kept.length > 0) this.#endLine(lines);
    this.#pass(lines);
    done();
  }

  #keep(bytes: Buffer, lines: Buffer[]): void {
    // A copy: a few bytes must not hold the whole piece that they came in.
    let kept = Buffer.concat([this.#kept, bytes]);
    while (kept.length > this.#longest) {
      const cut = characterStart(kept, this.#longest);
      this.#kept = kept.subarray(0, cut);
      kept = Buffer.from(kept.subarray(cut));
      this.#endLine(lines);
      this.#isContinued = true;
    }
    this.#kept = kept;
  }

  #endLine(lines: Buffer[]): void {
    lines.push(this.#isContinued ? this.#continuation : this.#prefix, this.#kept, LINE_END);
    this.#kept = NOTHING;
    this.#isContinued = false;
  }

  #pass(lines: readonly Buffer[]): void {
    if (lines.length === 0) return;
    const text = Buffer.concat(lines);
    this.#onLines(text);
    this.push(text);
  }
}

const LINE_END = Buffer.from([NEWLINE]);

/** Where the UTF-8 character begins that has its byte at `index`; `index` where there is none. */
function characterStart(bytes: Buffer, index: number): number {
  for (let start = index; start > Math.max(0, index - 4); start--) {
    if ((bytes[start]! & 0xc0) !== 0x80) return start;
  }
  return index;
}
