import { Duplex } from "node:stream";
import { FrameReader } from "../../host/bus/frame_reader.ts";
import type { Message } from "../../host/bus/messages.ts";

/** A socket without a peer: what arrives is up to the test, and what was sent is kept. */
export class SilentWire extends Duplex {
  readonly #sent: Uint8Array[] = [];

  override _read(): void {}

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    this.#sent.push(chunk);
    done();
  }

  /** Delivers bytes at once: what the receiver throws is thrown here. */
  deliver(bytes: Uint8Array): void {
    this.emit("data", bytes);
  }

  /** The messages that were sent. */
  get sent(): Message[] {
    const reader = new FrameReader({ frameSize: Number.POSITIVE_INFINITY });
    return this.#sent.flatMap((chunk) => [...reader.read(chunk)]);
  }
}
