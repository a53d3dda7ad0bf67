// Who owns a shared file: a Unix socket beside it, which the system takes away with its process.

import { createServer, type Server } from "node:net";
import { answers, listen } from "./unix_socket.ts";

/**
 * The right to create and write a shared file. Held as a listening socket at `<path>.lock`: it
 * needs no clean-up after a crash, and works across pid namespaces.
 */
export class FileLock {
  readonly #server: Server;
  readonly #unlink: () => void;

  private constructor(server: Server, unlink: () => void) {
    this.#server = server;
    this.#unlink = unlink;
  }

  /** @throws {Error} when another living process owns the file, or nothing can be put beside it. */
  static async acquire(path: string): Promise<FileLock> {
    const lockPath = `${path}.lock`;
    const server = createServer((socket) => socket.destroy());
    server.unref();
    try {
      return new FileLock(server, await listen(server, lockPath, { mode: 0o600 }));
    } catch (error) {
      if (await answers(lockPath).catch(() => false)) {
        throw new Error(`Cannot own shared file "${path}": another supervisor owns it`);
      }
      const { message, code } = error as NodeJS.ErrnoException;
      throw Object.assign(
        new Error(`Cannot own shared file "${path}": ${message}`, { cause: error }),
        { code },
      );
    }
  }

  /** Gives the file up. */
  release(): Promise<void> {
    this.#unlink();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
