// Writes core.wasm as a module of text. The host takes it from there: it needs no file, no path
// and no permission at run time, and survives bundlers.

import { readFileSync, writeFileSync } from "node:fs";

const folder = new URL("../build/", import.meta.url);
const text = readFileSync(new URL("core.wasm", folder)).toString("base64");
writeFileSync(
  new URL("core_bytes.ts", folder),
  `// Made from core.wasm by scripts/embed_core.js.\nexport const CORE_BASE64: string =\n  "${text}";\n`,
);
