// Worker id to segment index: open addressing with linear probing, at most half full.

import { NONE } from "./layout";
import { acquire, release } from "./memory";

const ENTRY_BYTES: u32 = 8;
const ENTRY_SEGMENT: usize = 4;
const SMALLEST: u32 = 64;

// An entry is {worker, segment + 1}: a zeroed table is an empty one.
let table: usize = 0;
let entries: u32 = 0;
let used: u32 = 0;

function slotOf(worker: i32): u32 {
  return ((<u32>worker * 0x9e3779b1) >> 7) & (entries - 1);
}

function entryAt(slot: u32): usize {
  return table + slot * ENTRY_BYTES;
}

/** The slot of `worker`, or the empty one where it would go. */
function probe(worker: i32): u32 {
  let slot = slotOf(worker);
  while (load<i32>(entryAt(slot), ENTRY_SEGMENT) !== 0 && load<i32>(entryAt(slot)) !== worker) {
    slot = (slot + 1) & (entries - 1);
  }
  return slot;
}

function put(worker: i32, segment: i32): void {
  const entry = entryAt(probe(worker));
  store<i32>(entry, worker);
  store<i32>(entry, segment + 1, ENTRY_SEGMENT);
}

function rehash(size: u32): bool {
  const larger = acquire(size * ENTRY_BYTES);
  if (larger === 0) return false;
  const old = table;
  const oldEntries = entries;
  table = larger;
  entries = size;
  for (let slot: u32 = 0; slot < oldEntries; slot++) {
    const entry = old + slot * ENTRY_BYTES;
    const segment = load<i32>(entry, ENTRY_SEGMENT);
    if (segment !== 0) put(load<i32>(entry), segment - 1);
  }
  release(old, oldEntries * ENTRY_BYTES);
  return true;
}

export function segmentOf(worker: i32): i32 {
  if (entries === 0) return NONE;
  return load<i32>(entryAt(probe(worker)), ENTRY_SEGMENT) - 1;
}

/** False when memory cannot grow. */
export function rememberWorker(worker: i32, segment: i32): bool {
  if (used * 2 >= entries) {
    if (!rehash(entries === 0 ? SMALLEST : entries * 2)) return false;
  }
  put(worker, segment);
  used++;
  return true;
}

export function forgetWorker(worker: i32): void {
  if (entries === 0) return;
  let hole = probe(worker);
  if (load<i32>(entryAt(hole), ENTRY_SEGMENT) === 0) return;
  used--;
  // Entries behind the hole that could not be found any more across it move up into it.
  let slot = hole;
  while (true) {
    slot = (slot + 1) & (entries - 1);
    const entry = entryAt(slot);
    if (load<i32>(entry, ENTRY_SEGMENT) === 0) break;
    const distance = (slot - slotOf(load<i32>(entry))) & (entries - 1);
    if (distance >= ((slot - hole) & (entries - 1))) {
      store<u64>(entryAt(hole), load<u64>(entry));
      hole = slot;
    }
  }
  store<u64>(entryAt(hole), 0);
}
