import { core, toolHost, vectors } from "../support.js";

const main = ["examples/hosts/node/main.js", core, ...vectors];

export const node20 = toolHost("node20", "node20", ...main);
export const node22 = toolHost("node22", "node22", ...main);
export const node24 = toolHost("node24", "node24", ...main);
export const node26 = toolHost("node26", "node26", ...main);
