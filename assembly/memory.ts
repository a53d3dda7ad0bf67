// Blocks of 2^n bytes. A block that is given back waits in a list for the next request of its
// size, so tables may grow, move and be dropped for as long as the process lives.

const SMALLEST_CLASS: u32 = 6; // 64 bytes
const LARGEST_CLASS: u32 = 31;
const PAGE_BITS: u32 = 16;

/** The first free block of each class; a free block holds the pointer to the next one. */
const freeBlocks: usize = memory.data(32 * 4, 4);

let top: usize = 0;

function classOf(bytes: u32): u32 {
  if (bytes <= 1 << SMALLEST_CLASS) return SMALLEST_CLASS;
  return 32 - clz<u32>(bytes - 1);
}

/** A zeroed block of at least `bytes`, 8-byte aligned, or 0 when memory cannot grow. */
export function acquire(bytes: u32): usize {
  const sizeClass = classOf(bytes);
  if (sizeClass >= LARGEST_CLASS) return 0;
  const list = freeBlocks + (sizeClass << 2);
  const size: u32 = 1 << sizeClass;
  let block = load<usize>(list);
  if (block !== 0) {
    store<usize>(list, load<usize>(block));
  } else {
    if (top === 0) top = (__heap_base + 63) & ~63;
    block = top;
    const end = (block as u64) + size;
    // A heap that ended at 4 GiB would begin anew.
    if (end > 0xffffffff) return 0;
    const missing = end - ((memory.size() as u64) << PAGE_BITS);
    if ((missing as i64) > 0) {
      if (memory.grow(((missing + 0xffff) >> PAGE_BITS) as i32) < 0) return 0;
    }
    top = end as usize;
  }
  memory.fill(block, 0, size);
  return block;
}

/** Gives back a block that was acquired for `bytes`. */
export function release(block: usize, bytes: u32): void {
  if (block === 0) return;
  const list = freeBlocks + (classOf(bytes) << 2);
  store<usize>(block, load<usize>(list));
  store<usize>(list, block);
}

/**
 * The block itself where it already has room for `wanted` bytes, else a larger one with its
 * content; 0, and the block untouched, when memory cannot grow.
 */
export function extend(block: usize, bytes: u32, wanted: u32): usize {
  if (block === 0) return acquire(wanted);
  if (classOf(wanted) <= classOf(bytes)) return block;
  const larger = acquire(wanted);
  if (larger === 0) return 0;
  memory.copy(larger, block, bytes);
  release(block, bytes);
  return larger;
}
