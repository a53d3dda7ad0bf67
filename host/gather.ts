// Copies the used prefix of segments into the rows of the core's stage. Each function is always
// given the same array types and stays at top level: one copy loop that sees two kinds of arrays
// is 5 to 7 times slower. 64-bit elements are moved whole, so no value is torn, and V8 allocates
// nothing for them.

/**
 * Reads a byte of each row, so that their lines are on the way when the rows are copied. Lines that
 * workers have just written lie in the caches of other processors: as many as the processor can wait
 * for at once are fetched by this short loop, and few by a copy, whose rows are long. What it
 * returns says nothing; without a result the engine would leave out the reads.
 */
export function touchRows(
  source: Uint8Array,
  offsets: Int32Array,
  first: number,
  rows: number,
): number {
  let touched = 0;
  const end = first + rows;
  for (let i = first; i < end; i++) touched |= source[offsets[i]!]!;
  return touched;
}

/** Rows of exactly eight words: the commonest schema, as one straight body. */
export function gatherEightWords(
  target: BigInt64Array,
  targetIndex: number,
  source: BigInt64Array,
  offsets: Int32Array,
  first: number,
  rows: number,
): void {
  // By shifts the engine knows both indices to be small: additions to them cannot overflow.
  let address = targetIndex << 3;
  const end = first + rows;
  for (let i = first; i < end; i++, address += 64) {
    const from = offsets[i]! >>> 3;
    const to = address >>> 3;
    target[to] = source[from]!;
    target[to + 1] = source[from + 1]!;
    target[to + 2] = source[from + 2]!;
    target[to + 3] = source[from + 3]!;
    target[to + 4] = source[from + 4]!;
    target[to + 5] = source[from + 5]!;
    target[to + 6] = source[from + 6]!;
    target[to + 7] = source[from + 7]!;
  }
}

/** Rows of any number of words, unrolled by eight. */
export function gatherWords(
  target: BigInt64Array,
  targetIndex: number,
  source: BigInt64Array,
  offsets: Int32Array,
  first: number,
  rows: number,
  words: number,
): void {
  let to = targetIndex;
  const unrolled = words & ~7;
  for (let row = 0; row < rows; row++) {
    let from = offsets[first + row]! >>> 3;
    const unrolledEnd = to + unrolled;
    for (; to < unrolledEnd; to += 8, from += 8) {
      target[to] = source[from]!;
      target[to + 1] = source[from + 1]!;
      target[to + 2] = source[from + 2]!;
      target[to + 3] = source[from + 3]!;
      target[to + 4] = source[from + 4]!;
      target[to + 5] = source[from + 5]!;
      target[to + 6] = source[from + 6]!;
      target[to + 7] = source[from + 7]!;
    }
    const end = unrolledEnd + words - unrolled;
    for (; to < end; to++, from++) target[to] = source[from]!;
  }
}

/**
 * Rows whose fields cross 8-byte boundaries, or segments that do not start on one. `length` bytes
 * a row, at most what is left of the segment; rows are `stride` bytes apart in the stage.
 */
export function gatherBytes(
  target: Uint8Array,
  targetOffset: number,
  source: Uint8Array,
  offsets: Int32Array,
  first: number,
  rows: number,
  length: number,
  stride: number,
): void {
  for (let row = 0; row < rows; row++) {
    const from = offsets[first + row]!;
    target.set(source.subarray(from, from + length), targetOffset + row * stride);
  }
}
