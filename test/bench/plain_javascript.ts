// What one would write without a core: the same sums over the same mapping. They know that all
// fields are u64, look at no size of the file, and make no objects: the comparison flatters them.

/** As one writes it first: a bigint for each value. */
export function sumBigints(
  view: DataView,
  offsets: Int32Array,
  fields: readonly number[],
): bigint[] {
  const sums = fields.map(() => 0n);
  for (let row = 0; row < offsets.length; row++) {
    const offset = offsets[row]!;
    for (let i = 0; i < fields.length; i++) {
      sums[i] = sums[i]! + view.getBigUint64(offset + fields[i]!, true);
    }
  }
  return sums;
}

// The best that we know: the two halves of each value as numbers, exact for 2^21 rows. They may be
// torn, as they are two reads. Field-outer within tiles of 64 rows, as the core does it.

const TILE = 64;

export function sumDataViewHalves(
  view: DataView,
  offsets: Int32Array,
  fields: readonly number[],
): bigint[] {
  const low = new Float64Array(fields.length);
  const high = new Float64Array(fields.length);
  for (let first = 0; first < offsets.length; first += TILE) {
    const end = Math.min(first + TILE, offsets.length);
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!;
      let lowSum = 0;
      let highSum = 0;
      for (let row = first; row < end; row++) {
        const offset = offsets[row]! + field;
        lowSum += view.getUint32(offset, true);
        highSum += view.getUint32(offset + 4, true);
      }
      low[i]! += lowSum;
      high[i]! += highSum;
    }
  }
  return joined(low, high);
}

export function sumArrayHalves(
  words: Uint32Array,
  offsets: Int32Array,
  fields: readonly number[],
): bigint[] {
  const low = new Float64Array(fields.length);
  const high = new Float64Array(fields.length);
  for (let first = 0; first < offsets.length; first += TILE) {
    const end = Math.min(first + TILE, offsets.length);
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]! >>> 2;
      let lowSum = 0;
      let highSum = 0;
      for (let row = first; row < end; row++) {
        const index = (offsets[row]! >>> 2) + field;
        lowSum += words[index]!;
        highSum += words[index + 1]!;
      }
      low[i]! += lowSum;
      high[i]! += highSum;
    }
  }
  return joined(low, high);
}

function joined(low: Float64Array, high: Float64Array): bigint[] {
  return Array.from(low, (sum, i) => (BigInt(high[i]!) << 32n) + BigInt(sum));
}

/** Only copies the bytes: a `set` for each row. */
export function copyRows(
  target: Uint8Array,
  source: Uint8Array,
  offsets: Int32Array,
  length: number,
): void {
  for (let row = 0, to = 0; row < offsets.length; row++, to += length) {
    const from = offsets[row]!;
    target.set(source.subarray(from, from + length), to);
  }
}
