// Which process belongs to whom.

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

/** Null where it is gone, or cannot be seen. */
function relativesOf(processId: number): { parent: number; group: number } | null {
  try {
    const text = readProc(`/proc/${processId}/stat`);
    const [, parent, group] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { parent: Number(parent), group: Number(group) };
  } catch {
    return null;
  }
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
