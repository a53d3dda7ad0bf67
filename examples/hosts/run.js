// Runs the core, the same file, in every host of this folder and prints a table:
//
//     npm run hosts [-- [--allow-missing NAME]... NAME...]
//
// With names, only these hosts. The exit code is 0 when every host passed all of its checks. A
// host that cannot be had here did not pass; with --allow-missing it is printed and let go.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { core } from "./support.js";

/**
 * What a `host.js` exports, any number of times.
 *
 * @typedef {object} Host
 * @property {string} name
 * @property {() => string | Promise<string>} version
 * @property {() => string | null | Promise<string | null>} missing why it cannot run here.
 * @property {() => Count | Promise<Count>} run throws when the core fails.
 *
 * @typedef {{passed: number, total: number, checks?: string}} Count how many of what, by default
 *   cases of the vectors.
 */

const FOLDERS = [
  ...["node", "deno", "bun", "chromium", "workerd", "extism", "wabt", "c", "wazero"],
  "../plugin",
];

const { values: options, positionals: names } = parseArgs({
  options: { "allow-missing": { type: "string", multiple: true, default: [] } },
  allowPositionals: true,
});

/** @type {Host[]} */
const hosts = [];
for (const folder of FOLDERS) hosts.push(...Object.values(await import(`./${folder}/host.js`)));

for (const name of [...names, ...options["allow-missing"]]) {
  if (!hosts.some((host) => host.name === name)) {
    console.error(
      `Cannot run "${name}": the hosts are ${hosts.map((host) => host.name).join(", ")}`,
    );
    process.exit(2);
  }
}

const bytes = readFileSync(fileURLToPath(new URL(`../../${core}`, import.meta.url)));
const digest = createHash("sha256").update(bytes).digest("hex");
console.log(`${core}: ${bytes.length} bytes, sha256 ${digest}\n`);

printRow("host", "version", "checked", "result");
let failed = 0;
for (const host of hosts) {
  if (names.length > 0 && !names.includes(host.name)) continue;
  const missing = await host.missing();
  if (missing !== null) {
    if (!options["allow-missing"].includes(host.name)) failed++;
    printRow(host.name, "-", "-", `missing: ${missing}`);
    continue;
  }
  const version = await host.version();
  try {
    const { passed, total, checks = "cases" } = await host.run();
    const ok = total > 0 && passed === total;
    if (!ok) failed++;
    printRow(host.name, version, `${passed} of ${total} ${checks}`, ok ? "ok" : "FAILED");
  } catch (error) {
    failed++;
    printRow(host.name, version, "-", `FAILED: ${error.message}`);
  }
}

function printRow(host, version, checked, result) {
  console.log(host.padEnd(18), version.padEnd(16), checked.padEnd(20), result);
}

process.exitCode = failed === 0 ? 0 : 1;
