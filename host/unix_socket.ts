// Unix sockets that listen: bind over a stale one, never over a live one.

import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, linkSync, lstatSync, mkdirSync, rmSync, unlinkSync } from "node:fs";
import { connect, type Server } from "node:net";
import { basename, dirname, join } from "node:path";
import { cannot, kindOf } from "./directory.ts";

/** Bytes a socket path can have: one less than `sun_path`, for its final zero. */
export const LONGEST_SOCKET_PATH: number = process.platform === "darwin" ? 103 : 107;

/** Replacing a stale socket takes some milliseconds. */
const LONGEST_TURN_MS = 5000;

/** @throws {RangeError} for a path that the system would cut or refuse. */
export function checkSocketPath(path: string): void {
  const length = Buffer.byteLength(path);
  if (length > LONGEST_SOCKET_PATH) {
    throw new RangeError(
      `Cannot use socket path "${path}": it is ${length} bytes long, the limit is ${LONGEST_SOCKET_PATH}`,
    );
  }
}

/** Who may use a socket or file besides its owner. */
export interface Access {
  /** Permission bits. */
  readonly mode: number;
  /** Group id to hand it to. */
  readonly groupId?: number | undefined;
}

/**
 * Listens on a socket path. A socket that nobody answers on is replaced; of several servers that
 * find one at the same time, one gets the path.
 *
 * @returns gives the path up. To be called before the server is closed.
 * @throws {Error} when a live server answers there, or something that is no socket is in its place.
 */
export async function listen(server: Server, path: string, access: Access): Promise<() => void> {
  checkSocketPath(path);
  // Bound and made accessible under a name of its own, then linked to the path: that either
  // succeeds as a whole or finds the path taken.
  const ownPath = join(dirname(path), `.${randomBytes(4).toString("hex")}`);
  try {
    await bind(server, ownPath, access);
    if (!tryLink(ownPath, path)) await replaceStale(ownPath, path);
  } catch (error) {
    server.close();
    throw cannot("listen on", path, error);
  }
  unlinkSync(ownPath);
  const { ino } = lstatSync(path, { bigint: true });
  return () => {
    // While the server lives, no other file can have its inode.
    if (lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino === ino) unlinkSync(path);
  };
}

async function bind(server: Server, path: string, access: Access): Promise<void> {
  checkSocketPath(path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    const mask = setMask(0o777 & ~access.mode);
    try {
      server.listen({ path, exclusive: true }, () => {
        server.off("error", reject);
        resolve();
      });
    } finally {
      if (mask !== null) process.umask(mask);
    }
  });
  grant(path, access);
}

function tryLink(existing: string, path: string): boolean {
  try {
    linkSync(existing, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/**
 * Sets permissions and group of a path that we own.
 *
 * @throws {Error} when this user is not in the group.
 */
export function grant(path: string, { mode, groupId }: Access): void {
  try {
    if (groupId !== undefined) chownSync(path, -1, groupId);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") throw error;
    const user = process.geteuid?.();
    throw new Error(
      `Cannot hand socket and file to group ${groupId}: user ${user} is not in that group`,
    );
  }
  chmodSync(path, mode);
}

/** Null where it cannot be set: the mode is then right only an instant after binding. */
function setMask(mask: number): number | null {
  // Deno would ask for a permission that no flag but the widest grants.
  if ("Deno" in globalThis) return null;
  try {
    // Worker threads cannot set the mask of their process.
    return process.umask(mask);
  } catch {
    return null;
  }
}

/** Puts a socket in the place of one that nobody answers on, one process at a time. */
async function replaceStale(ownPath: string, path: string): Promise<void> {
  const turn = join(dirname(path), `.${basename(path)}.turn`);
  await takeTurn(turn);
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined && !found.isSocket()) {
      throw new Error(
        `Cannot listen on "${path}": something that is not a socket is in its place, ${kindOf(found)}`,
      );
    }
    if (found !== undefined && (await answers(path))) {
      throw new Error(`Cannot listen on "${path}": another supervisor is listening there`);
    }
    rmSync(path, { force: true });
    if (!tryLink(ownPath, path)) {
      throw new Error(`Cannot listen on "${path}": another supervisor took it just now`);
    }
  } finally {
    rmSync(turn, { recursive: true, force: true });
  }
}

/** Making a folder succeeds for one process only. One that died in its turn is not waited for. */
async function takeTurn(turn: string): Promise<void> {
  for (;;) {
    try {
      mkdirSync(turn, { mode: 0o700 });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const made = lstatSync(turn, { throwIfNoEntry: false })?.mtimeMs;
    if (made !== undefined && Date.now() - made > LONGEST_TURN_MS) {
      rmSync(turn, { recursive: true, force: true });
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Whether a server accepts connections on the path. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(false);
      // The backlog of a live but busy server is full.
      else if (error.code === "EAGAIN") resolve(true);
      else reject(error);
    });
  });
}
