// Reads what Linux says of a process.

import { readFileSync, readlinkSync } from "node:fs";
import { isAllowed, type Libc, loadLibc, pathBytes } from "./libc.ts";

/** One piece: most files of /proc fit. */
const PIECE_BYTES = 65536;
const LINK_BYTES = 256;

/**
 * The text of a file in /proc.
 *
 * @throws {Error} with the system's `code`.
 */
export function readProc(path: string): string {
  const libc = denoLibc();
  if (libc !== null) return readWith(libc, path);
  refuseToAsk(path);
  return readFileSync(path, "utf8");
}

/**
 * Where a symbolic link in /proc leads.
 *
 * @throws {Error} with the system's `code`.
 */
export function readProcLink(path: string): string {
  const libc = denoLibc();
  if (libc === null) {
    refuseToAsk(path);
    return readlinkSync(path);
  }
  const target = new Uint8Array(LINK_BYTES);
  const length = libc.call("readlink", pathBytes(path), target, BigInt(target.length));
  return new TextDecoder().decode(target.subarray(0, length));
}

/** In a terminal, Deno would stop and ask its user. */
function refuseToAsk(path: string): void {
  if (isAllowed({ name: "read", path })) return;
  throw Object.assign(new Error(`Deno does not let us read "${path}"`), { code: "EACCES" });
}

/** Deno refuses /proc to its own file calls, unless every permission is granted. */
function denoLibc(): Libc | null {
  if (!("Deno" in globalThis)) return null;
  try {
    return loadLibc();
  } catch {
    return null;
  }
}

function readWith(libc: Libc, path: string): string {
  const descriptor = libc.call("open", pathBytes(path), 0, 0);
  try {
    const decoder = new TextDecoder();
    const piece = new Uint8Array(PIECE_BYTES);
    let text = "";
    let position = 0;
    for (;;) {
      const length = BigInt(piece.length);
      const count = libc.call("pread", descriptor, piece, length, BigInt(position));
      text += decoder.decode(piece.subarray(0, count), { stream: count > 0 });
      if (count === 0) return text;
      position += count;
    }
  } finally {
    libc.call("close", descriptor);
  }
}
