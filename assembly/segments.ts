// Which worker holds which segment: allocate, free, find, grow, cool down.

import {
  BAD_ARGUMENT,
  FREE,
  HELD,
  NONE,
  OK,
  OUT_OF_MEMORY,
  SEGMENT_BYTES,
  SEGMENT_GROUP,
  SEGMENT_MOMENT,
  SEGMENT_NEXT,
  SEGMENT_STATE,
  SEGMENT_WORKER,
} from "./layout";
import { extend } from "./memory";
import { forgetWorker, rememberWorker, segmentOf } from "./workers";

let segmentTable: usize = 0;
let segmentCount: i32 = 0;
let segmentSize: i32 = 0;

let firstFree: i32 = -1; // NONE would be set by a start function.
let lastFree: i32 = -1;
let freeCount: i32 = 0;

/** Bytes of one segment; 0 before `init`. */
export function sizeOfSegment(): i32 {
  return segmentSize;
}

export function setSegmentSize(bytes: i32): void {
  segmentSize = bytes;
}

export function segmentAt(segment: i32): usize {
  return segmentTable + segment * SEGMENT_BYTES;
}

export function isSegment(segment: i32): bool {
  return <u32>segment < <u32>segmentCount;
}

export function stateOf(segment: i32): i32 {
  return load<i32>(segmentAt(segment), SEGMENT_STATE);
}

/** Address of the segment table: `capacity()` SEGMENT records. */
export function segments(): usize {
  return segmentTable;
}

/** How many segments the core knows: the valid indices are below it. */
export function capacity(): i32 {
  return segmentCount;
}

/** How many segments are free, those that cool down included. */
export function available(): i32 {
  return freeCount;
}

/**
 * Makes room for `count` segments in all. New ones join the end of the free list in order. Never
 * shrinks. `count` × segment size must stay below 2^31.
 */
export function grow(count: i32): i32 {
  if (segmentSize === 0 || count < segmentCount) return BAD_ARGUMENT;
  if (<u64>count * segmentSize > <u64>i32.MAX_VALUE) return BAD_ARGUMENT;
  if (count === segmentCount) return OK;
  if (<u64>count * SEGMENT_BYTES > 1 << 30) return OUT_OF_MEMORY;
  const table = extend(segmentTable, segmentCount * SEGMENT_BYTES, count * SEGMENT_BYTES);
  if (table === 0) return OUT_OF_MEMORY;
  segmentTable = table;
  const first = segmentCount;
  segmentCount = count;
  for (let segment = first; segment < count; segment++) enqueue(segment, 0);
  return OK;
}

function enqueue(segment: i32, moment: f64): void {
  const record = segmentAt(segment);
  store<i32>(record, FREE, SEGMENT_STATE);
  store<i32>(record, NONE, SEGMENT_GROUP);
  store<i32>(record, NONE, SEGMENT_WORKER);
  store<i32>(record, NONE, SEGMENT_NEXT);
  store<f64>(record, moment, SEGMENT_MOMENT);
  if (lastFree === NONE) firstFree = segment;
  else store<i32>(segmentAt(lastFree), segment, SEGMENT_NEXT);
  lastFree = segment;
  freeCount++;
}

/**
 * Hands the first free segment that does not cool down any more at `now` to `worker`, and returns
 * its index; NONE when there is none; BAD_ARGUMENT when the worker holds one.
 */
export function allocate(worker: i32, now: f64): i32 {
  if (worker < 0 || segmentOf(worker) !== NONE) return BAD_ARGUMENT;
  // What rests may stand before what does not: growth adds at the end.
  let before: i32 = NONE;
  let segment = firstFree;
  while (segment !== NONE && load<f64>(segmentAt(segment), SEGMENT_MOMENT) > now) {
    before = segment;
    segment = load<i32>(segmentAt(segment), SEGMENT_NEXT);
  }
  if (segment === NONE) return NONE;
  const record = segmentAt(segment);
  if (!rememberWorker(worker, segment)) return OUT_OF_MEMORY;
  const after = load<i32>(record, SEGMENT_NEXT);
  if (before === NONE) firstFree = after;
  else store<i32>(segmentAt(before), after, SEGMENT_NEXT);
  if (after === NONE) lastFree = before;
  freeCount--;
  store<i32>(record, HELD, SEGMENT_STATE);
  store<i32>(record, worker, SEGMENT_WORKER);
  return segment;
}

/** The segment that `worker` holds, or NONE. */
export function find(worker: i32): i32 {
  return segmentOf(worker);
}

/** The free segment after `segment`, or the first one for NONE; NONE at the end of the list. */
export function next(segment: i32): i32 {
  if (segment === NONE) return firstFree;
  if (!isSegment(segment) || stateOf(segment) !== FREE) return BAD_ARGUMENT;
  return load<i32>(segmentAt(segment), SEGMENT_NEXT);
}

/** The worker lets go of its segment, whatever becomes of the segment. */
export function partWorker(segment: i32): void {
  const record = segmentAt(segment);
  const worker = load<i32>(record, SEGMENT_WORKER);
  if (worker === NONE) return;
  forgetWorker(worker);
  store<i32>(record, NONE, SEGMENT_WORKER);
}

/** Puts a segment, which is in no group any more, at the end of the free list. */
export function recycle(segment: i32, moment: f64): void {
  partWorker(segment);
  enqueue(segment, moment);
}
