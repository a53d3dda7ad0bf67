// Unix sockets that listen: bind over a stale one, never over a live one.

import { chmodSync, chownSync, lstatSync, unlinkSync } from "node:fs";
import { connect, type Server } from "node:net";

/** Bytes a socket path can have: one less than `sun_path`, for its final zero. */
export const LONGEST_SOCKET_PATH: number = process.platform === "darwin" ? 103 : 107;

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
 * Listens on a socket path. A socket that nobody answers on is replaced.
 *
 * @throws {Error} when a live server answers there, or something that is no socket is in its place.
 */
export async function listen(server: Server, path: string, access: Access): Promise<void> {
  checkSocketPath(path);
  await removeStale(path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    // The socket must not be open to others between bind and chmod. Worker threads cannot set the
    // mask of their process.
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

/** Sets permissions and group of a path that we own. */
export function grant(path: string, { mode, groupId }: Access): void {
  if (groupId !== undefined) chownSync(path, -1, groupId);
  chmodSync(path, mode);
}

function setMask(mask: number): number | null {
  try {
    return process.umask(mask);
  } catch {
    return null;
  }
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new Error(`Cannot listen on "${path}": something that is not a socket is in its place`);
  }
  if (await answers(path)) {
    throw new Error(`Cannot listen on "${path}": another supervisor is listening there`);
  }
  // Another supervisor may have replaced it meanwhile: then it is not the one found stale.
  const again = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (again?.ino === found.ino) unlinkSync(path);
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
