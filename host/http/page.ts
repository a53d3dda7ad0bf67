// The page and all that it loads, by path.

import { brotliDecompressSync } from "node:zlib";
import { PAGE_FILES_BROTLI } from "../../build/page_files.ts";

export interface PageFile {
  /** Of its content, for `Content-Type`. */
  readonly type: string;
  readonly text: string;
}

/** Takes about a millisecond: once for each server. */
export function pageFiles(): ReadonlyMap<string, PageFile> {
  const json = brotliDecompressSync(Buffer.from(PAGE_FILES_BROTLI, "base64")).toString();
  return new Map(JSON.parse(json) as [string, PageFile][]);
}
