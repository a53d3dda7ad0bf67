// Frames of a source, one poll after the other.

import { type Frame, FrameReader } from "../frame.ts";
import { Snapshot } from "./snapshot.ts";
import type { Source } from "./source.ts";

/** Asks a source for its values, and makes frames of the answers. */
export class Poller {
  readonly #source: Source;
  #latest: Snapshot = new Snapshot({}, {}, []);
  readonly #reader: FrameReader = new FrameReader({
    sample: () => this.#latest.sample(),
    totals: () => this.#latest.totals(),
    sampleByWorker: () => this.#latest.sampleByWorker(),
    text: () => this.#latest.text(),
  });

  constructor(source: Source) {
    this.#source = source;
  }

  /** @throws {SourceError} */
  async read(): Promise<Frame> {
    this.#latest = await this.#source.poll();
    return this.#reader.read();
  }
}
