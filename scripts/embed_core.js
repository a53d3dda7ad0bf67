// Writes the core, its build with vectors, as a module of text. The host takes it from there: it needs
// no file, no path and no permission at run time, and survives bundlers. It is deflated because it is
// in the package as a file as well.

import { readFileSync, writeFileSync } from "node:fs";
import { deflateRawSync } from "node:zlib";

const folder = new URL("../build/", import.meta.url);
const bytes = readFileSync(new URL("core.simd.wasm", folder));
writeFileSync(
  new URL("core_bytes.ts", folder),
  `// Made from core.simd.wasm by scripts/embed_core.js.
export const CORE_SIMD_DEFLATED: string =
  "${deflateRawSync(bytes, { level: 9 }).toString("base64")}";
`,
);
