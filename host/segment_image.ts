import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Logger } from "./log.ts";
import type { MappableFile } from "./mapping/index.ts";

/**
 * The diagnostics channel on which whoever ends its own process by a signal says so: no `exit`
 * event comes then.
 */
export const LAST_MOMENT = "utilization:last_moment";

/** Images that the end of the process has to flush, by one listener for all of them. */
const images = new Set<SegmentImage>();

function flushAll(): void {
  for (const image of images) image.flush();
}

/**
 * The stand-in for a mapped segment where nothing can be mapped: memory of our own, written to the
 * file from time to time if it has changed. Updates cost the same as in a mapping; nobody sees them
 * before the next flush, and not while the process is blocked.
 */
export class SegmentImage {
  readonly bytes: Uint8Array;
  readonly #written: Uint8Array;
  readonly #file: MappableFile;
  readonly #offset: number;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #failing = false;

  /** Takes over the file, and closes it in the end. */
  constructor(file: MappableFile, offset: number, size: number, flushMs: number, log: Logger) {
    this.#file = file;
    this.#offset = offset;
    this.#log = log;
    this.bytes = new Uint8Array(new ArrayBuffer(size));
    file.read(this.bytes, offset);
    this.#written = this.bytes.slice();
    // The timer keeps no process alive; what it misses at the end, the exit listener writes.
    this.#timer = setInterval(() => this.flush(), flushMs).unref();
    if (images.size === 0) {
      process.on("exit", flushAll);
      subscribe(LAST_MOMENT, flushAll);
    }
    images.add(this);
  }

  /** Writes the segment if it has changed. An error is logged, and the next flush tries again. */
  flush(): void {
    if (!images.has(this) || Buffer.compare(this.bytes, this.#written) === 0) return;
    try {
      this.#file.write(this.bytes, this.#offset);
      this.#written.set(this.bytes);
      this.#failing = false;
    } catch (error) {
      if (this.#failing) return;
      this.#failing = true;
      this.#log.warn(
        `Cannot write segment at offset ${this.#offset} of "${this.#file.path}":`,
        error,
      );
    }
  }

  /** Flushes for the last time. The memory stays usable, but goes nowhere any more. */
  close(): void {
    this.flush();
    clearInterval(this.#timer);
    images.delete(this);
    if (images.size === 0) {
      process.off("exit", flushAll);
      unsubscribe(LAST_MOMENT, flushAll);
    }
    this.#file.close();
  }
}
