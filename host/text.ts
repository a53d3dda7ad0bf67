import type { Cells } from "./cells.ts";
import { CONTROLS } from "./field.ts";
import type { Logger } from "./log.ts";
import { LONGEST_TEXT, type TextField, textSizeOf } from "./text_field.ts";

/** How often a text is copied until two copies are the same, at most. */
const ATTEMPTS = 5;

const encoder = new TextEncoder();
// As in a log line, a mark of the byte order is a character.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const scratch = new Uint8Array(LONGEST_TEXT);

/**
 * A text of this process that others can read while it runs: a version, a state.
 *
 * It has a fixed number of bytes in the segment, UTF-8, filled up with NUL. More than one store
 * writes it, so the first byte is cleared before the others are written, and written last: a reader
 * finds the old text, no text, or the new one, and copies it until two copies are the same. A process
 * that is stopped in between has no text. Nothing here throws.
 *
 * @example
 * ```ts
 * const { state } = registry.texts;
 * state.set("warming up");
 * ```
 */
export class Text {
  readonly name: string;
  /** Bytes of UTF-8 that it holds. */
  readonly size: number;
  #bytes: Uint8Array;
  readonly #log: Logger;
  #isCut = false;
  #ignored = false;

  constructor({ name, type }: TextField, log: Logger) {
    this.name = name;
    this.size = textSizeOf(type);
    this.#bytes = new Uint8Array(this.size);
    this.#log = log;
  }

  /** The text as others see it; empty where there is none. */
  get value(): string {
    return readText(this.#bytes, 0, this.size);
  }

  /** Takes as many whole characters as there is room for, up to a NUL. Says once that it was cut. */
  set(value: string): void {
    if (typeof value !== "string") {
      this.#ignore(value);
      return;
    }
    const end = value.indexOf("\0");
    const text = end === -1 ? value : value.slice(0, end);
    const next = scratch.subarray(0, this.size).fill(0);
    const { read } = encoder.encodeInto(text, next);
    if (read < text.length) this.#cut();
    const bytes = this.#bytes;
    if (Buffer.compare(bytes, next) === 0) return;
    bytes[0] = 0;
    bytes.set(next.subarray(1), 1);
    bytes[0] = next[0]!;
  }

  /**
   * Moves it, with what it says, to another memory.
   *
   * @internal
   */
  moveTo(cells: Cells, offset: number): void {
    const bytes = cells.bytes.subarray(offset, offset + this.size);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }

  #cut(): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#log.warn(`Text "${this.name}" was cut to ${this.size} bytes, its limit`);
  }

  #ignore(value: unknown): void {
    if (this.#ignored) return;
    this.#ignored = true;
    this.#log.warn(`Text "${this.name}" ignored a value of type ${typeof value}`);
  }
}

/**
 * The text at `offset`, which another process may be writing; empty where there is none, and where it
 * changes faster than it can be copied. What is no UTF-8, and what would move a terminal's cursor or
 * turn a line around, is U+FFFD.
 */
export function readText(bytes: Uint8Array, offset: number, size: number): string {
  let copy = new Uint8Array(0);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    // Before each copy: none is of a text that is being written then, and of two that are the same
    // at most one is of a text that was begun meanwhile.
    if (bytes[offset] === 0) return "";
    const before = copy;
    copy = bytes.slice(offset, offset + size);
    if (Buffer.compare(copy, before) === 0) return decoded(copy);
  }
  return "";
}

function decoded(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  const text = decoder.decode(end === -1 ? bytes : bytes.subarray(0, end));
  return text.replaceAll(CONTROLS, "\ufffd");
}
