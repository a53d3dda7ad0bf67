import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cases, core, runner, vectors, withCopy } from "../support.js";

const modules = fileURLToPath(new URL("../../../test/tools/node_modules", import.meta.url));
const sdk = join(modules, "@extism/extism/package.json");

export const extism = {
  name: "extism",
  missing: () => (existsSync(sdk) ? null : 'run "npm ci --prefix test/tools"'),
  version: () => JSON.parse(readFileSync(sdk, "utf8")).version,
  run: () =>
    withCopy("extism", [runner], (copy) => {
      symlinkSync(modules, join(copy, "node_modules"));
      const main = "examples/hosts/extism/main.js";
      return cases(process.execPath, [main, core, ...vectors], copy);
    }),
};
