import { core, toolHost, vectors } from "../support.js";

const main = "examples/hosts/bun/main.js";

export const bun = toolHost("bun", "bun", "run", main, core, ...vectors);
