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

// The free list begins with segments that rest: all up to `lastResting` were passed over, and none
// of them is ready before `restingUntil`. They are passed over once, and not by every allocation.
let lastResting: i32 = -1;
let restingUntil: f64 = 0;
/** Whether their moments never go down, as with a delay that is always the same. */
let areInOrder = true;

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
  const before = passResting(now);
  const segment = before === NONE ? firstFree : load<i32>(segmentAt(before), SEGMENT_NEXT);
  if (segment === NONE) return NONE;
  if (!rememberWorker(worker, segment)) return OUT_OF_MEMORY;
  dequeue(segment, before);
  const record = segmentAt(segment);
  store<i32>(record, HELD, SEGMENT_STATE);
  store<i32>(record, worker, SEGMENT_WORKER);
  return segment;
}

/**
 * The last of the segments at the head of the free list that still rest at `now`, NONE without one.
 * What rests may stand before what does not: growth adds at the end.
 */
function passResting(now: f64): i32 {
  if (lastResting !== NONE && !(restingUntil > now)) {
    // In order, it is the first one that is ready; else any may be.
    if (areInOrder) return NONE;
    lastResting = NONE;
  }
  let before = lastResting;
  let segment = before === NONE ? firstFree : load<i32>(segmentAt(before), SEGMENT_NEXT);
  let latest = before === NONE ? -Infinity : load<f64>(segmentAt(before), SEGMENT_MOMENT);
  while (segment !== NONE) {
    const moment = load<f64>(segmentAt(segment), SEGMENT_MOMENT);
    if (!(moment > now)) break;
    if (before === NONE) {
      restingUntil = moment;
      areInOrder = true;
    } else if (moment < latest) {
      areInOrder = false;
    }
    restingUntil = min(restingUntil, moment);
    latest = moment;
    before = segment;
    segment = load<i32>(segmentAt(segment), SEGMENT_NEXT);
  }
  lastResting = before;
  return before;
}

/** Takes a segment that follows `before` out of the free list; the first one if that is NONE. */
function dequeue(segment: i32, before: i32): void {
  const after = load<i32>(segmentAt(segment), SEGMENT_NEXT);
  if (before === NONE) firstFree = after;
  else store<i32>(segmentAt(before), after, SEGMENT_NEXT);
  if (after === NONE) lastFree = before;
  freeCount--;
  if (before !== NONE) return;
  if (segment === lastResting) lastResting = NONE;
  // One that was passed over, and is ready by now: the next one is so after it.
  else if (lastResting !== NONE) restingUntil = load<f64>(segmentAt(after), SEGMENT_MOMENT);
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
