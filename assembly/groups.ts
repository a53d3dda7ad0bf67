// Schemas compiled to operations, and the segments that share them: a group is the segments of
// one service with one schema, in two dense member lists, so that a sample is one walk per group.

import { isAccumulator, reserveResults } from "./accumulators";
import {
  BAD_ARGUMENT,
  BATCH_ROWS,
  DETACHED,
  GROUP_BATCH,
  GROUP_BYTES,
  GROUP_BYTEWISE,
  GROUP_COUNT,
  GROUP_DETACHED,
  GROUP_LIVE,
  GROUP_OLDEST,
  GROUP_OPERATIONS,
  GROUP_WORDS,
  HELD,
  LIVE,
  MAX_FIELDS,
  MEMBERS_CAPACITY,
  MEMBERS_COUNT,
  MEMBERS_POINTER,
  NONE,
  OK,
  OUT_OF_MEMORY,
  ROW_ACCUMULATOR,
  ROW_BYTES,
  ROW_OFFSET,
  ROW_TYPE,
  SEGMENT_GROUP,
  SEGMENT_MOMENT,
  SEGMENT_NEXT,
  SEGMENT_POSITION,
  SEGMENT_PREVIOUS,
  SEGMENT_STATE,
  STAGE_BYTES,
  TYPE_COUNT,
} from "./layout";
import { acquire, extend, release } from "./memory";
import {
  isSegment,
  partWorker,
  recycle,
  segmentAt,
  setSegmentSize,
  sizeOfSegment,
  stateOf,
} from "./segments";
import { sizeOfType } from "./types";

let stagePointer: usize = 0;
let stageBytes: u32 = 0;
let rowScratch: usize = 0;
let rowCapacity: i32 = 0;

let groupTable: usize = 0;
let groupCount: i32 = 0;
/** A dissolved group keeps the index of the next dissolved one in GROUP_WORDS. */
let firstDissolved: i32 = -1;

let registrations: f64 = 0;

/** Once, before all else: bytes of a segment, from 1 to 2^30. */
export function init(bytes: i32): i32 {
  if (sizeOfSegment() !== 0 || bytes < 1 || bytes > 1 << 30) return BAD_ARGUMENT;
  const row: u32 = (bytes + 7) & ~7;
  stageBytes = max<u32>(row, STAGE_BYTES);
  stagePointer = acquire(stageBytes);
  if (stagePointer === 0) return OUT_OF_MEMORY;
  setSegmentSize(bytes);
  return OK;
}

/** Address of the stage, where the host puts rows. */
export function stage(): usize {
  return stagePointer;
}

/** Address of room for `count` ROWs, to be filled for `group`; OUT_OF_MEMORY or BAD_ARGUMENT. */
export function rows(count: i32): i32 {
  if (count < 0 || count > MAX_FIELDS) return BAD_ARGUMENT;
  const scratch = extend(rowScratch, rowCapacity * ROW_BYTES, count * ROW_BYTES);
  if (scratch === 0) return OUT_OF_MEMORY;
  rowScratch = scratch;
  if (count > rowCapacity) rowCapacity = count;
  return scratch as i32;
}

/** Address of the group table. */
export function groups(): usize {
  return groupTable;
}

export function groupAt(group: i32): usize {
  return groupTable + group * GROUP_BYTES;
}

/** Whether `group` is the index of a group in use: each has operations or BATCH_ROWS set. */
export function isGroup(group: i32): bool {
  return <u32>group < <u32>groupCount && load<i32>(groupAt(group), GROUP_BATCH) !== 0;
}

/**
 * Compiles the first `count` ROWs of the scratch into a new group, and returns its index. A row
 * with an unknown type, an accumulator that is not in use, or bytes outside a segment is a
 * BAD_ARGUMENT, and nothing changes. Zero rows are allowed: workers that are only counted.
 */
export function group(count: i32): i32 {
  if (sizeOfSegment() === 0 || count < 0 || count > rowCapacity) return BAD_ARGUMENT;
  let used: u32 = 0;
  let bytewise = (sizeOfSegment() & 7) !== 0;
  for (let i = 0; i < count; i++) {
    const row = rowScratch + i * ROW_BYTES;
    const type = load<i32>(row, ROW_TYPE);
    if (<u32>type >= <u32>TYPE_COUNT) return BAD_ARGUMENT;
    const size: u32 = sizeOfType(type);
    const offset = load<u32>(row, ROW_OFFSET);
    if (<u64>offset + size > <u64>sizeOfSegment()) return BAD_ARGUMENT;
    if (!isAccumulator(load<i32>(row, ROW_ACCUMULATOR))) return BAD_ARGUMENT;
    if ((offset & 7) + size > 8) bytewise = true;
    if (offset + size > used) used = offset + size;
  }

  if (!reserveResults(count)) return OUT_OF_MEMORY;
  const operations = acquire(count * ROW_BYTES);
  if (operations === 0) return OUT_OF_MEMORY;
  let index = firstDissolved;
  if (index !== NONE) {
    firstDissolved = load<i32>(groupAt(index), GROUP_WORDS);
  } else {
    const bytes = groupCount * GROUP_BYTES;
    const table = extend(groupTable, bytes, bytes + GROUP_BYTES);
    if (table === 0) {
      release(operations, count * ROW_BYTES);
      return OUT_OF_MEMORY;
    }
    groupTable = table;
    index = groupCount++;
  }

  memory.copy(operations, rowScratch, count * ROW_BYTES);
  const words = (used + 7) >> 3;
  const fit = words === 0 ? BATCH_ROWS : stageBytes / (words << 3);
  const record = groupAt(index);
  memory.fill(record, 0, GROUP_BYTES);
  store<usize>(record, operations, GROUP_OPERATIONS);
  store<i32>(record, count, GROUP_COUNT);
  store<i32>(record, words, GROUP_WORDS);
  store<i32>(record, bytewise ? 1 : 0, GROUP_BYTEWISE);
  store<u32>(record, min<u32>(fit, BATCH_ROWS), GROUP_BATCH);
  store<i32>(record, NONE, GROUP_OLDEST);
  return index;
}

/** Forgets a group without members, live or detached; its index may be given out again. */
export function dissolve(group: i32): i32 {
  if (!isGroup(group)) return BAD_ARGUMENT;
  const record = groupAt(group);
  if (load<i32>(record, GROUP_LIVE + MEMBERS_COUNT) !== 0) return BAD_ARGUMENT;
  if (load<i32>(record, GROUP_DETACHED + MEMBERS_COUNT) !== 0) return BAD_ARGUMENT;
  release(load<usize>(record, GROUP_OPERATIONS), load<i32>(record, GROUP_COUNT) * ROW_BYTES);
  releaseMembers(record + GROUP_LIVE);
  releaseMembers(record + GROUP_DETACHED);
  memory.fill(record, 0, GROUP_BYTES);
  store<i32>(record, firstDissolved, GROUP_WORDS);
  firstDissolved = group;
  return OK;
}

function releaseMembers(list: usize): void {
  release(load<usize>(list, MEMBERS_POINTER), load<i32>(list, MEMBERS_CAPACITY) << 2);
}

function reserveMember(list: usize): bool {
  const capacity = load<i32>(list, MEMBERS_CAPACITY);
  if (load<i32>(list, MEMBERS_COUNT) < capacity) return true;
  const wanted = capacity === 0 ? 16 : capacity * 2;
  const members = extend(load<usize>(list, MEMBERS_POINTER), capacity << 2, wanted << 2);
  if (members === 0) return false;
  store<usize>(list, members, MEMBERS_POINTER);
  store<i32>(list, wanted, MEMBERS_CAPACITY);
  return true;
}

function addMember(list: usize, segment: i32): void {
  const position = load<i32>(list, MEMBERS_COUNT);
  store<i32>(load<usize>(list, MEMBERS_POINTER) + (position << 2), segment * sizeOfSegment());
  store<i32>(list, position + 1, MEMBERS_COUNT);
  store<i32>(segmentAt(segment), position, SEGMENT_POSITION);
}

/** The last member takes the place of the one that goes. */
function removeMember(list: usize, segment: i32): void {
  const members = load<usize>(list, MEMBERS_POINTER);
  const position = load<i32>(segmentAt(segment), SEGMENT_POSITION);
  const last = load<i32>(list, MEMBERS_COUNT) - 1;
  const offset = load<i32>(members + (last << 2));
  store<i32>(members + (position << 2), offset);
  store<i32>(segmentAt(offset / sizeOfSegment()), position, SEGMENT_POSITION);
  store<i32>(list, last, MEMBERS_COUNT);
}

// The live members of a group in registration order are a ring: behind the newest is the oldest.

function link(segment: i32, next: i32): void {
  store<i32>(segmentAt(segment), next, SEGMENT_NEXT);
  store<i32>(segmentAt(next), segment, SEGMENT_PREVIOUS);
}

function addNewest(group: usize, segment: i32): void {
  const oldest = load<i32>(group, GROUP_OLDEST);
  if (oldest === NONE) {
    store<i32>(group, segment, GROUP_OLDEST);
    link(segment, segment);
  } else {
    link(load<i32>(segmentAt(oldest), SEGMENT_PREVIOUS), segment);
    link(segment, oldest);
  }
}

function removeFromOrder(group: usize, segment: i32): void {
  const next = load<i32>(segmentAt(segment), SEGMENT_NEXT);
  const isOldest = load<i32>(group, GROUP_OLDEST) === segment;
  if (isOldest) store<i32>(group, next === segment ? NONE : next, GROUP_OLDEST);
  link(load<i32>(segmentAt(segment), SEGMENT_PREVIOUS), next);
}

/** A held segment becomes a live member of `group`, the last one in registration order. */
export function attach(segment: i32, group: i32): i32 {
  if (!isSegment(segment) || stateOf(segment) !== HELD || !isGroup(group)) return BAD_ARGUMENT;
  const list = groupAt(group) + GROUP_LIVE;
  if (!reserveMember(list)) return OUT_OF_MEMORY;
  addMember(list, segment);
  addNewest(groupAt(group), segment);
  const record = segmentAt(segment);
  store<i32>(record, LIVE, SEGMENT_STATE);
  store<i32>(record, group, SEGMENT_GROUP);
  store<f64>(record, ++registrations, SEGMENT_MOMENT);
  return OK;
}

/**
 * The worker of a held or live segment is gone from view, but may live and write: the segment
 * leaves samples, stays in totals, and is not free. The worker's id is forgotten.
 */
export function detach(segment: i32): i32 {
  if (!isSegment(segment)) return BAD_ARGUMENT;
  const record = segmentAt(segment);
  const state = stateOf(segment);
  if (state === LIVE) {
    const group = groupAt(load<i32>(record, SEGMENT_GROUP));
    if (!reserveMember(group + GROUP_DETACHED)) return OUT_OF_MEMORY;
    removeMember(group + GROUP_LIVE, segment);
    removeFromOrder(group, segment);
    addMember(group + GROUP_DETACHED, segment);
  } else if (state !== HELD) {
    return BAD_ARGUMENT;
  }
  partWorker(segment);
  store<i32>(record, DETACHED, SEGMENT_STATE);
  return OK;
}

/**
 * Frees a segment that is held, live or detached; it is handed out again from `moment` on, in
 * the unit of `allocate`'s `now`. What it had counted is forgotten unless `retire` was called.
 */
export function free(segment: i32, moment: f64): i32 {
  if (!isSegment(segment)) return BAD_ARGUMENT;
  const state = stateOf(segment);
  if (state !== HELD && state !== LIVE && state !== DETACHED) return BAD_ARGUMENT;
  const group = load<i32>(segmentAt(segment), SEGMENT_GROUP);
  if (group !== NONE) {
    removeMember(groupAt(group) + (state === LIVE ? GROUP_LIVE : GROUP_DETACHED), segment);
    if (state === LIVE) removeFromOrder(groupAt(group), segment);
  }
  recycle(segment, moment);
  return OK;
}

/** The smallest place in registration order (1, 2, …) among the live members; NONE without one. */
export function oldest(group: i32): f64 {
  if (!isGroup(group)) return NONE;
  const segment = load<i32>(groupAt(group), GROUP_OLDEST);
  return segment === NONE ? NONE : load<f64>(segmentAt(segment), SEGMENT_MOMENT);
}

/** The place in registration order of the live segment at `offset`. */
export function momentOf(offset: i32): f64 {
  return load<f64>(segmentAt(offset / sizeOfSegment()), SEGMENT_MOMENT);
}
