// Reads what Linux says of a process.

import { readFileSync } from "node:fs";
import { type Libc, loadLibc, pathBytes } from "./libc.ts";

/** One piece: most files of /proc fit. */
const PIECE_BYTES = 65536;

/**
 * The text of a file in /proc.
 *
 * @throws {Error} with the system's `code`.
 */
export function readProc(path: string): string {
  const libc = denoLibc();
  return libc === null ? readFileSync(path, "utf8") : readWith(libc, path);
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
