// Which process belongs to whom.

import { readdirSync } from "node:fs";
import { readProc } from "../proc.ts";

const LONGEST_CHAIN = 64;

/**
 * Whether a process is `leader`, in its process group, or descends from it: behind `npm start` it
 * is a grandchild that serves.
 */
export function isOfFamily(processId: number, leader: number): boolean {
  let id = processId;
  for (let steps = 0; steps < LONGEST_CHAIN && id > 1; steps++) {
    if (id === leader) return true;
    const relatives = relativesOf(id);
    if (relatives === null) return false;
    if (relatives.group === leader) return true;
    id = relatives.parent;
  }
  return false;
}

interface Relatives {
  /** It has ended, and nobody has asked how. */
  readonly isZombie: boolean;
  readonly parent: number;
  readonly group: number;
}

/** Null where it is gone, or cannot be seen. */
function relativesOf(processId: number): Relatives | null {
  try {
    const text = readProc(`/proc/${processId}/stat`);
    const [state, parent, group] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const isZombie = state === "Z" || state === "X";
    return { isZombie, parent: Number(parent), group: Number(group) };
  } catch {
    return null;
  }
}

/**
 * Whether a process of the group still runs. Signals reach those as well that have ended and that
 * the first process of a container is slow to bury.
 */
export function isGroupRunning(group: number): boolean {
  if (!signal(-group, 0)) return false;
  let ids: number[];
  try {
    ids = readdirSync("/proc")
      .map(Number)
      .filter((id) => id > 0);
  } catch {
    return true;
  }
  return ids.some((id) => {
    const relatives = relativesOf(id);
    return relatives !== null && relatives.group === group && !relatives.isZombie;
  });
}

/** Sends a signal to a process, or with a negative id to a group. False if there is none. */
export function signal(target: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(target, name);
    return true;
  } catch (error) {
    // Not ours to signal: it is there all the same.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
