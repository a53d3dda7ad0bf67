// The core in Deno, checked by the conformance vectors. It needs leave to read them, nothing else:
//
//     deno run --allow-read=build/core.wasm,test/vectors examples/hosts/deno/main.js \
//         build/core.wasm test/vectors/*.txt

import { runVectors } from "../vectors.js";

const [core, ...vectors] = Deno.args;
const module = new WebAssembly.Module(Deno.readFileSync(core));
const text = vectors.map((path) => Deno.readTextFileSync(path)).join("");

const { passed, total, failures } = runVectors(
  text,
  () => new WebAssembly.Instance(module, {}).exports,
);
for (const failure of failures) console.log(failure);
console.log(`${passed} of ${total} cases passed`);
Deno.exitCode = total > 0 && passed === total ? 0 : 1;
