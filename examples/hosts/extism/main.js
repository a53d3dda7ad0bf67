// The core in Extism, by its JavaScript SDK, where `npm install @extism/extism` has been run:
//
//     node examples/hosts/extism/main.js build/core.wasm test/vectors/*.txt

import { readFileSync } from "node:fs";
import { createPlugin } from "@extism/extism";
import { runVectors } from "../vectors.js";

const [core, ...vectors] = process.argv.slice(2);
const manifest = { wasm: [{ name: "core", data: readFileSync(core) }] };
const text = vectors.map((path) => readFileSync(path, "utf8")).join("");

// An instance comes with a plug-in, and only asynchronously: one for each case, made before.
const plugins = [];
const instances = [];
for (const _ of text.match(/^case /gm) ?? []) {
  const plugin = await createPlugin(manifest);
  plugins.push(plugin);
  // `plugin.call` would pass no arguments and drop the answer.
  instances.push(await plugin.getInstance("core"));
}
const { passed, total, failures } = runVectors(text, () => instances.pop().exports);
for (const plugin of plugins) await plugin.close();
for (const failure of failures) console.log(failure);
console.log(`${passed} of ${total} cases passed`);
process.exitCode = total > 0 && passed === total ? 0 : 1;
