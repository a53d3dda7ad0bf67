import { toolHost } from "../support.js";

export const node20 = toolHost("node20", "node");
export const node22 = toolHost("node22", "node");
export const node24 = toolHost("node24", "node");
export const node26 = toolHost("node26", "node");
