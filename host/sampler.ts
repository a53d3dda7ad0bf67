// One pass over the segments: gather rows into the stage, let the core accumulate them.

import {
  type DETACHED,
  GROUP_BATCH,
  GROUP_BYTES,
  GROUP_BYTEWISE,
  GROUP_DETACHED,
  GROUP_LIVE,
  GROUP_WORDS,
  LIVE,
  MEMBERS_COUNT,
  MEMBERS_POINTER,
  RESULT_BYTES,
  RESULT_FLOAT,
  RESULT_HIGH,
  RESULT_KIND,
  RESULT_LOW,
  RESULT_NONE,
  RESULT_VALUE,
  RESULT_WIDE,
} from "../assembly/layout.ts";
import type { Core } from "./core.ts";
import { gatherBytes, gatherEightWords, gatherWords, touchRows } from "./gather.ts";
import type { FileView, SharedFile } from "./shared_file.ts";
import type { Value } from "./value.ts";

const RESULT_WORDS = RESULT_BYTES >>> 3;

export class Sampler {
  readonly #core: Core;
  readonly #file: SharedFile;
  readonly #segmentSize: number;
  readonly #stage: number;
  /**
   * What {@link touchRows} has returned, so that it is not optimised away.
   *
   * @internal
   */
  touched = 0;
  /** For the one-segment reads. */
  readonly #oneOffset: Int32Array = new Int32Array(1);

  constructor(core: Core, file: SharedFile, segmentSize: number) {
    this.#core = core;
    this.#file = file;
    this.#segmentSize = segmentSize;
    this.#stage = core.exports.stage();
  }

  /**
   * Adds the members of `groups` in `list` to the accumulators. Bytes behind `used` hold no
   * member and are not read.
   */
  accumulate(groups: Iterable<number>, list: typeof LIVE | typeof DETACHED, used: number): void {
    const { exports, int32 } = this.#core;
    const members = list === LIVE ? GROUP_LIVE : GROUP_DETACHED;
    const table = exports.groups();
    let view: FileView | undefined;
    for (const group of groups) {
      const record = table + group * GROUP_BYTES;
      const count = int32[(record + members + MEMBERS_COUNT) >>> 2]!;
      const words = int32[(record + GROUP_WORDS) >>> 2]!;
      if (count === 0 || words === 0) continue;
      view ??= this.#file.view(used);
      const offsets = int32[(record + members + MEMBERS_POINTER) >>> 2]! >>> 2;
      const batch = int32[(record + GROUP_BATCH) >>> 2]!;
      const bytewise = int32[(record + GROUP_BYTEWISE) >>> 2] !== 0;
      for (let first = 0; first < count; first += batch) {
        const rows = Math.min(batch, count - first);
        this.#gather(view, int32, offsets + first, rows, words, bytewise);
        exports.accumulate(group, list, first, rows);
      }
    }
  }

  /** Copies the segment at `offset` into the first row of the stage, as `group` wants it. */
  stageSegment(group: number, offset: number): void {
    const { exports, int32 } = this.#core;
    const record = exports.groups() + group * GROUP_BYTES;
    const words = int32[(record + GROUP_WORDS) >>> 2]!;
    if (words === 0) return;
    const bytewise = int32[(record + GROUP_BYTEWISE) >>> 2] !== 0;
    this.#oneOffset[0] = offset;
    const view = this.#file.view(offset + this.#segmentSize);
    this.#gather(view, this.#oneOffset, 0, 1, words, bytewise);
  }

  /** A copy of the first row of the stage, to be put back by {@link unstage}. */
  stagedRow(group: number): Uint8Array {
    const record = this.#core.exports.groups() + group * GROUP_BYTES;
    const words = this.#core.int32[(record + GROUP_WORDS) >>> 2]!;
    return this.#core.bytes.slice(this.#stage, this.#stage + words * 8);
  }

  /** Puts a row back into the stage. */
  unstage(row: Uint8Array): void {
    this.#core.bytes.set(row, this.#stage);
  }

  #gather(
    view: FileView,
    offsets: Int32Array,
    first: number,
    rows: number,
    words: number,
    bytewise: boolean,
  ): void {
    const { bigint64, bytes } = this.#core;
    this.touched = touchRows(view.bytes, offsets, first, rows);
    if (bytewise) {
      const length = Math.min(words * 8, this.#segmentSize);
      gatherBytes(bytes, this.#stage, view.bytes, offsets, first, rows, length, words * 8);
    } else if (words === 8) {
      gatherEightWords(bigint64, this.#stage >>> 3, view.words, offsets, first, rows);
    } else {
      gatherWords(bigint64, this.#stage >>> 3, view.words, offsets, first, rows, words);
    }
  }

  /** Result `index` of the last `finish` or `decode`; undefined where there is none. */
  result(index: number, bigint: boolean): Value | undefined {
    const { exports, float64 } = this.#core;
    const record = (exports.results() >>> 3) + index * RESULT_WORDS;
    const kind = float64[record + (RESULT_KIND >>> 3)];
    if (kind === RESULT_NONE) return undefined;
    if (!bigint || kind === RESULT_FLOAT) return float64[record + (RESULT_VALUE >>> 3)]!;
    return this.#integer(record);
  }

  /** The same with all digits: a bigint where a number would lose some, and only there. */
  exactResult(index: number): Value | undefined {
    const { exports, float64 } = this.#core;
    const record = (exports.results() >>> 3) + index * RESULT_WORDS;
    const kind = float64[record + (RESULT_KIND >>> 3)];
    if (kind === RESULT_NONE) return undefined;
    if (kind === RESULT_WIDE) return this.#integer(record);
    return float64[record + (RESULT_VALUE >>> 3)]!;
  }

  #integer(record: number): bigint {
    const { bigint64, biguint64 } = this.#core;
    const high = bigint64[record + (RESULT_HIGH >>> 3)]!;
    return (high << 64n) + biguint64[record + (RESULT_LOW >>> 3)]!;
  }
}
