import { core, toolHost } from "../support.js";

const permission = `--allow-read=${core},test/vectors`;

// --no-config: none of a folder above, --no-prompt: what is not allowed fails.
export const deno = toolHost("deno", "deno", ["run", "--no-config", "--no-prompt", permission]);
