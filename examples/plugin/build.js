// Compiles the rule and the message layout for JavaScript hosts, and all of it, with the core, to
// the plug-in for Extism:
//
//     node examples/plugin/build.js

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

function compile(compiler, ...options) {
  execFileSync(`node_modules/.bin/${compiler}`, options, { cwd: root, stdio: "inherit" });
}

compile("tsc", "-p", "examples/plugin/tsconfig.json");
compile("asc", "--config", "examples/plugin/asconfig.json", "--target", "plugin");
