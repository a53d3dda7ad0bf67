// The core in Node, checked by the conformance vectors:
//
//     node examples/hosts/node/main.js build/core.wasm test/vectors/*.txt

import { readFileSync } from "node:fs";
import { runVectors } from "../vectors.js";

const [core, ...vectors] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(core));
const text = vectors.map((path) => readFileSync(path, "utf8")).join("");

const { passed, total, failures } = runVectors(
  text,
  () => new WebAssembly.Instance(module, {}).exports,
);
for (const failure of failures) console.log(failure);
console.log(`${passed} of ${total} cases passed`);
process.exitCode = total > 0 && passed === total ? 0 : 1;
