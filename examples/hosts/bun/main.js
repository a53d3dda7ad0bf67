// The core in Bun, checked by the conformance vectors:
//
//     bun run examples/hosts/bun/main.js build/core.wasm test/vectors/*.txt

import { runVectors } from "../vectors.js";

const [core, ...vectors] = Bun.argv.slice(2);
const module = new WebAssembly.Module(await Bun.file(core).arrayBuffer());
const texts = await Promise.all(vectors.map((path) => Bun.file(path).text()));

const { passed, total, failures } = runVectors(
  texts.join(""),
  () => new WebAssembly.Instance(module, {}).exports,
);
for (const failure of failures) console.log(failure);
console.log(`${passed} of ${total} cases passed`);
process.exitCode = total > 0 && passed === total ? 0 : 1;
