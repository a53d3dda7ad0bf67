// README's first example, as a new user pastes it.

import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The worker of the section "In your service", and the command that runs a supervisor beside it.
 *
 * @param {string} root of the project.
 * @returns {{worker: string, supervise: string}}
 */
export function firstExample(root) {
  const text = readFileSync(join(root, "README.md"), "utf8");
  const section = /^## In your service\n(.*?)^## /ms.exec(text)?.[1] ?? "";
  const worker = /^```[jt]s\n(.*?)^```$/ms.exec(section)?.[1];
  const supervise = /^(?:.*`)?(npx utilization-monitor supervise)\b/m.exec(section)?.[1];
  if (worker === undefined || supervise === undefined) {
    throw new Error('Cannot find the example: README has no section "In your service" with one');
  }
  return { worker, supervise };
}

/** The same program for `require`. */
export function asCommonJs(program) {
  return program.replace(/^import (\{[^}]*\}) from ("[^"]+");$/gm, (_, names, specifier) => {
    return `const ${names.replaceAll(" as ", ": ")} = require(${specifier});`;
  });
}
