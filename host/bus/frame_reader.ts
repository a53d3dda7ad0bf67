import { LimitError, ProtocolError } from "./errors.ts";
import type { FrameLimits } from "./limits.ts";
import { decodeMessage, isMessageType, type Message } from "./messages.ts";
import { MAX_NESTING, MAX_VALUES } from "./scan.ts";

/** The longest payload of a frame. */
export const MAX_FRAME_SIZE: number = 1024 * 1024;

const NOTHING = new Uint8Array(0);

/**
 * Cuts a stream of bytes into messages, however it arrives. What it holds of an unfinished frame
 * grows with the bytes that came, not with the length that was claimed.
 */
export class FrameReader {
  readonly #frameSize: number;
  readonly #nesting: number;
  readonly #values: number;

  /** The first `#held` bytes are the start of an unfinished frame. */
  #buffer: Uint8Array = NOTHING;
  #held = 0;

  constructor(limits: FrameLimits = {}) {
    const { frameSize = MAX_FRAME_SIZE, nesting = MAX_NESTING, values = MAX_VALUES } = limits;
    this.#frameSize = frameSize;
    this.#nesting = nesting;
    this.#values = values;
  }

  /** Bytes of an unfinished frame. */
  get held(): number {
    return this.#held;
  }

  /**
   * The messages that `chunk` completes.
   *
   * @throws {ProtocolError} at the first frame that is none. The reader is of no use after that.
   */
  *read(chunk: Uint8Array): Generator<Message, void, void> {
    const bytes = this.#append(chunk);
    let position = 0;
    for (;;) {
      const frame = this.#header(bytes, position);
      if (frame === null || frame.end > bytes.length) break;
      const payload = bytes.subarray(frame.start, frame.end);
      yield decodeMessage(frame.type, payload, this.#nesting, this.#values);
      position = frame.end;
    }
    this.#keep(bytes, position);
  }

  /** All bytes at hand. */
  #append(chunk: Uint8Array): Uint8Array {
    // Not as a Buffer: the slices of a Buffer are no copies.
    if (this.#held === 0) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#reserve(this.#held + chunk.length);
    this.#buffer.set(chunk, this.#held);
    this.#held += chunk.length;
    return this.#buffer.subarray(0, this.#held);
  }

  /** Holds what is left of `bytes` from `position` on. */
  #keep(bytes: Uint8Array, position: number): void {
    const held = this.#held > 0;
    if (held && position === 0) return;
    const rest = bytes.subarray(position);
    this.#buffer = NOTHING;
    this.#held = 0;
    if (rest.length > 0) {
      this.#reserve(rest.length);
      this.#buffer.set(rest);
      this.#held = rest.length;
    }
  }

  #reserve(size: number): void {
    if (size <= this.#buffer.length) return;
    // Doubling: a frame that comes byte by byte is copied a constant number of times.
    const grown = new Uint8Array(Math.max(size, 2 * this.#buffer.length, 64));
    grown.set(this.#buffer.subarray(0, this.#held));
    this.#buffer = grown;
  }

  /** The frame at `position`; null while its header is not there. */
  #header(
    bytes: Uint8Array,
    position: number,
  ): { readonly type: number; readonly start: number; readonly end: number } | null {
    const head = bytes[position];
    if (head === undefined) return null;
    let width = 0;
    let size = 1 << (head - 0xd4);
    if (head >= 0xc7 && head <= 0xc9) {
      width = 1 << (head - 0xc7);
      size = 0;
    } else if (head < 0xd4 || head > 0xd8) {
      throw new ProtocolError(`Cannot read frame: it starts with byte 0x${head.toString(16)}`);
    }
    const start = position + width + 2;
    if (start > bytes.length) return null;
    for (let index = 1; index <= width; index++) size = size * 256 + bytes[position + index]!;
    const type = bytes[start - 1]!;
    if (!isMessageType(type)) {
      throw new ProtocolError(`Cannot read frame of unknown type ${type}`);
    }
    if (size > this.#frameSize) {
      throw new LimitError(
        `Cannot read frame of ${size} bytes: limit is ${this.#frameSize} bytes`,
        "frameSize",
      );
    }
    return { type, start, end: start + size };
  }
}
