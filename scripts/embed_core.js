// Writes both builds of the core as a module of text. The host takes them from there: it needs no
// file, no path and no permission at run time, and survives bundlers.

import { readFileSync, writeFileSync } from "node:fs";

const folder = new URL("../build/", import.meta.url);
const base64 = (name) => readFileSync(new URL(name, folder)).toString("base64");
writeFileSync(
  new URL("core_bytes.ts", folder),
  `// Made from core.wasm and core.simd.wasm by scripts/embed_core.js.
export const CORE_BASE64: string =
  "${base64("core.wasm")}";
export const CORE_SIMD_BASE64: string =
  "${base64("core.simd.wasm")}";
`,
);
