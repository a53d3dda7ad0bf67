import { toolHost } from "../support.js";

export const bun = toolHost("bun", "bun", ["run"]);
