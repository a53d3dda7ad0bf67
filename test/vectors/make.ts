// Writes the conformance vectors of core.wasm that are made from recorded data:
//
//     npm run vectors
//
// What they expect comes from the recording and from test/reference.ts, never from the core.

import { writeFileSync } from "node:fs";
import { projectFile } from "../data.ts";
import { vectorFiles } from "./files.ts";

for (const [name, text] of vectorFiles()) {
  writeFileSync(projectFile(`test/vectors/${name}`), text);
  console.log(`${name}: ${text.length} bytes`);
}
