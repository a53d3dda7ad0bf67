import { core, toolHost, vectors } from "../support.js";

const permission = `--allow-read=${core},test/vectors`;
const main = "examples/hosts/deno/main.js";

// --no-config: the project's own is about its sources, --no-prompt: what is not allowed fails.
export const deno = toolHost(
  "deno",
  "deno",
  ...["run", "--no-config", "--no-prompt", permission, main, core, ...vectors],
);
