// Which file system a path is on, as Linux says.

import { realpathSync } from "node:fs";
import { readProc } from "../../proc.ts";

export interface Mount {
  /** The folder of the file system that is mounted. */
  readonly root: string;
  /** Where it is mounted. */
  readonly point: string;
  /** `tmpfs`, `ext4`, `overlay` and so on. */
  readonly type: string;
  /** Those of the file system, such as `rw,size=65536k`. */
  readonly options: readonly string[];
}

/** The mount that a path, which must be there, is on; null where that cannot be told. */
export function mountOf(path: string, mounts: readonly Mount[] = readMounts()): Mount | null {
  const real = realpathSync(path);
  let found: Mount | null = null;
  for (const mount of mounts) {
    const prefix = mount.point === "/" ? "/" : `${mount.point}/`;
    // Of two at one place the later one hides the other.
    const isBelow = `${real}/`.startsWith(prefix);
    if (isBelow && mount.point.length >= (found?.point.length ?? 0)) found = mount;
  }
  return found;
}

/** All mounts that this process sees, oldest first; none on other systems. */
export function readMounts(): Mount[] {
  let text: string;
  try {
    text = readProc("/proc/self/mountinfo");
  } catch {
    return [];
  }
  // 25 24 0:23 / /dev/shm rw,relatime shared:2 - tmpfs tmpfs rw,size=65536k
  return text.split("\n").flatMap((line) => {
    const [own = "", system] = line.split(" - ");
    const [, , , root, point] = own.split(" ");
    const [type, , options] = system?.split(" ") ?? [];
    if (root === undefined || point === undefined || type === undefined) return [];
    return [{ root: plain(root), point: plain(point), type, options: options?.split(",") ?? [] }];
  });
}

/** Blanks are written as \040. */
function plain(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
