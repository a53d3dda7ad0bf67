// Who holds a segment, and whether that process can still write to it. A dropped connection is
// not a death: only the operating system knows, and only where we can see the process.

import { basename } from "node:path";
import type { FileStatus } from "./mapping/index.ts";
import { readProc } from "./proc.ts";
import type { FileRange, ProcessTable } from "./process_table.ts";

/** How we would notice that the process of a worker cannot write any more. */
export type Evidence =
  /** Its process was seen to map our file: it is gone when no mapping of it covers the segment. */
  | "mapping"
  /** It writes through file I/O, or nobody has looked whether it maps: it is gone with its process. */
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

/** Tells a file from all others of the machine, in whatever container and by whatever path. */
export function identityOf({ device, inode }: Pick<FileStatus, "device" | "inode">): string {
  return `${device}:${inode}`;
}

/**
 * When a process started, in clock ticks after boot, as text; null when it is gone, a zombie, or
 * not to be seen from here.
 */
export function startTimeOf(processId: number): string | null {
  return lookUp(processId) ?? null;
}

/** As {@link ProcessTable.startTimeOf} says. */
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
export function mapsRange(
  processId: number,
  { inode, device, offset, length }: FileRange,
): boolean | null {
  const lines = mappingsOf(processId);
  if (lines === null) return null;
  for (const mapping of sharedMappings(lines, inode)) {
    if (device !== undefined && mapping.device !== device) continue;
    const { offset: start, length: size } = mapping;
    if (start < offset + length && offset < start + size) return true;
  }
  return false;
}

/**
 * Whether a process that does not map our file maps another one of the same name: it was told the
 * path of ours, and found something else there.
 */
export function mapsNamesake(processId: number, path: string): boolean {
  const ending = `/${basename(path)}`;
  const lines = mappingsOf(processId) ?? [];
  return lines.some(
    (line) => /^\S+ ...s /.test(line) && line.replace(/ \(deleted\)$/, "").endsWith(ending),
  );
}

/**
 * The device of a file that this process maps, as /proc shows it: on overlays and btrfs not the
 * one that `fstat` tells. Undefined when the file is not mapped, or cannot be told from another.
 */
export function mappedDeviceOf(inode: bigint): string | undefined {
  const devices = new Set<string>();
  const lines = mappingsOf(process.pid) ?? [];
  for (const { device } of sharedMappings(lines, inode)) devices.add(device);
  return devices.size === 1 ? [...devices][0] : undefined;
}

function mappingsOf(processId: number): string[] | null {
  try {
    return readProc(`/proc/${processId}/maps`).split("\n");
  } catch {
    return null;
  }
}

/** The parts of files with this inode that are mapped and shared. */
function* sharedMappings(
  lines: readonly string[],
  inode: bigint,
): Generator<{ readonly device: string; readonly offset: number; readonly length: number }> {
  // 7f3c1a400000-7f3c1a408000 rw-s 00000000 00:1b 1234   /run/utilization/default.shm
  const ours = ` ${inode} `;
  for (const line of lines) {
    if (!`${line} `.includes(ours)) continue;
    const [range = "", rights = "", start = "", device = "", found] = line.split(/ +/, 5);
    if (found !== String(inode) || !rights.endsWith("s")) continue;
    const [from, to] = range.split("-");
    const length = Number(BigInt(`0x${to}`) - BigInt(`0x${from}`));
    yield { device, offset: Number.parseInt(start, 16), length };
  }
}

/** The processes that run here. */
export const systemProcesses: ProcessTable = { startTimeOf: lookUp, mapsRange, mapsNamesake };

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
  processes: ProcessTable = systemProcesses,
): Holder {
  const { incarnation } = claimed;
  const seen = processId === null ? null : (processes.startTimeOf(processId) ?? null);
  const startTime = claimed.startTime ?? seen;
  let evidence: Evidence = "none";
  if (processId !== null && seen !== null && seen === startTime) {
    if (processes.mapsRange(processId, range) === true) evidence = "mapping";
    else if (claimed.startTime !== null) evidence = "process";
  }
  return { processId, startTime, incarnation, evidence };
}

/**
 * A holder of which only its process was known, as it is now: if that maps the range, the holder is
 * gone when it no longer does. The list of a process's mappings is long to read, and most workers
 * are known to be gone by the end of their process: this is for those that are not.
 */
export function lookForMapping(
  holder: Holder,
  range: FileRange,
  processes: ProcessTable = systemProcesses,
): Holder {
  const { evidence, processId } = holder;
  if (evidence !== "process" || processId === null || isProcessGone(holder, processes))
    return holder;
  const isMapped = processes.mapsRange(processId, range) === true;
  return isMapped ? { ...holder, evidence: "mapping" } : holder;
}

/** Whether the holder can no longer write to the range; null when that cannot be known. */
export function isGone(
  holder: Holder,
  range: FileRange,
  processes: ProcessTable = systemProcesses,
): boolean | null {
  if (holder.evidence === "none" || holder.processId === null) return null;
  if (isProcessGone(holder, processes)) return true;
  if (holder.evidence === "process") return false;
  // An unreadable list belongs to a living process whose identity has changed (setuid): it may
  // still write, so it keeps its segment.
  return processes.mapsRange(holder.processId, range) === false;
}

/** Whether the process itself has ended; false where that cannot be seen. */
export function isProcessGone(
  { evidence, processId, startTime }: Holder,
  processes: ProcessTable = systemProcesses,
): boolean {
  if (evidence === "none" || processId === null) return false;
  const seen = processes.startTimeOf(processId);
  return seen !== undefined && seen !== startTime;
}
