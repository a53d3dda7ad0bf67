// The core itself: how large it is, and what it needs.

import { readFileSync } from "node:fs";
import type { Results } from "./results.ts";
import { makeRow } from "./row.ts";

export function measureArtifact(results: Results): void {
  const bytes = readFileSync(new URL(import.meta.resolve("#core.wasm")));
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(bytes));
  results.add(
    makeRow("core.wasm, size", "B", [bytes.length], { target: { atMost: 10_000 } }),
    makeRow("core.wasm, imports", "imports", [imports.length], { target: { atMost: 0 } }),
  );
}
