// The core in Extism, by its JavaScript SDK for Node.

import { existsSync, readFileSync } from "node:fs";
import { core, vectors } from "../support.js";
import { runVectors } from "../vectors.js";

const root = new URL("../../../", import.meta.url);
const sdk = new URL("test/tools/node_modules/@extism/extism/", root);

export const extism = {
  name: "extism",
  missing: () => (existsSync(sdk) ? null : 'run "npm ci --prefix test/tools"'),
  version: () => JSON.parse(readFileSync(new URL("package.json", sdk), "utf8")).version,
  async run() {
    const { createPlugin } = await import(new URL("dist/esm/mod.js", sdk));
    const manifest = { wasm: [{ name: "core", data: readFileSync(new URL(core, root)) }] };
    const text = vectors.map((path) => readFileSync(new URL(path, root), "utf8")).join("\n");
    // An instance comes with a plug-in, and only asynchronously: one for each case, made before.
    const plugins = [];
    try {
      const cases = text.match(/^case /gm)?.length ?? 0;
      for (let i = 0; i < cases; i++) plugins.push(await createPlugin(manifest));
      const instances = [];
      // `plugin.call` would pass no arguments and drop the answer.
      for (const plugin of plugins) instances.push(await plugin.getInstance("core"));
      const { passed, total, failures } = runVectors(text, () => instances.pop().exports);
      if (failures.length > 0) throw new Error(failures.join("\n"));
      return { passed, total };
    } finally {
      for (const plugin of plugins) await plugin.close();
    }
  },
};
