// Who holds a segment, and whether that process can still write to it. A dropped connection is
// not a death: only the operating system knows, and only where we can see the process.

import { readProc } from "./proc.ts";

/** How we would notice that the process of a worker cannot write any more. */
export type Evidence =
  /** Its process maps our file: it is gone when no mapping of it covers the segment. */
  | "mapping"
  /** Its process writes through file I/O: it is gone when the process is. */
  | "process"
  /** We cannot see the process (another pid namespace, no /proc): only a lease helps. */
  | "none";

export interface Holder {
  readonly processId: number | null;
  /** Ticks after boot at which the process started: a pid alone is never an identity. */
  readonly startTime: string | null;
  /** Random id of the worker's registry, the lifetime of its values; foreign workers have none. */
  readonly incarnation: string | null;
  readonly evidence: Evidence;
}

/** The range of a file that a holder writes to. */
export interface FileRange {
  readonly inode: bigint;
  readonly offset: number;
  readonly length: number;
}

/**
 * When a process started, in clock ticks after boot, as text; null when it is gone, a zombie, or
 * not to be seen from here.
 */
export function startTimeOf(processId: number): string | null {
  return lookUp(processId) ?? null;
}

/** The start time; null when there is no such process, undefined when we could not look. */
function lookUp(processId: number): string | null | undefined {
  let text: string;
  try {
    text = readProc(`/proc/${processId}/stat`);
  } catch (error) {
    // Anything else, such as EMFILE, says nothing about the process.
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ESRCH" ? null : undefined;
  }
  // The command may contain spaces and parentheses: fields are counted from behind it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  if (state === "Z" || state === "X") return null;
  return fields[19] ?? null;
}

/** Whether a process maps any part of the range; null when we may not look. */
export function mapsRange(processId: number, { inode, offset, length }: FileRange): boolean | null {
  let text: string;
  try {
    text = readProc(`/proc/${processId}/maps`);
  } catch {
    return null;
  }
  // 7f3c1a400000-7f3c1a408000 rw-s 00000000 00:1b 1234   /run/utilization/default.shm
  const ours = ` ${inode} `;
  for (const line of text.split("\n")) {
    if (!`${line} `.includes(ours)) continue;
    const [range, , start, , lineInode] = line.split(/ +/, 5);
    if (lineInode !== String(inode) || range === undefined || start === undefined) continue;
    const [from, to] = range.split("-");
    const mappedOffset = Number.parseInt(start, 16);
    const mappedLength = Number(BigInt(`0x${to}`) - BigInt(`0x${from}`));
    if (mappedOffset < offset + length && offset < mappedOffset + mappedLength) return true;
  }
  return false;
}

/**
 * Identifies the holder of a range, right after it has begun to use it.
 *
 * @param claimed what the worker says of itself: its start time lets us tell its process from
 * another one that has the same pid in our namespace.
 */
export function identify(
  processId: number | null,
  claimed: { startTime: string | null; incarnation: string | null },
  range: FileRange,
): Holder {
  const { incarnation } = claimed;
  const seen = processId === null ? null : startTimeOf(processId);
  const startTime = claimed.startTime ?? seen;
  let evidence: Evidence = "none";
  if (processId !== null && seen !== null && seen === startTime) {
    if (mapsRange(processId, range) === true) evidence = "mapping";
    else if (claimed.startTime !== null) evidence = "process";
  }
  return { processId, startTime, incarnation, evidence };
}

/** Whether the holder can no longer write to the range; null when that cannot be known. */
export function isGone(holder: Holder, range: FileRange): boolean | null {
  if (holder.evidence === "none" || holder.processId === null) return null;
  if (isProcessGone(holder)) return true;
  if (holder.evidence === "process") return false;
  // An unreadable list belongs to a living process whose identity has changed (setuid): it may
  // still write, so it keeps its segment.
  return mapsRange(holder.processId, range) === false;
}

/** Whether the process itself has ended; false where that cannot be seen. */
export function isProcessGone({ evidence, processId, startTime }: Holder): boolean {
  if (evidence === "none" || processId === null) return false;
  const seen = lookUp(processId);
  return seen !== undefined && seen !== startTime;
}
