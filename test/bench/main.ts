// npm run bench [-- --json] [-- --quick]: measures what docs/benchmarks.md describes.

import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { measureArtifact } from "./artifact.ts";
import { additionsPerNanosecond, describeEnvironment } from "./environment.ts";
import { measureFirstSample } from "./first_sample.ts";
import { measureManyServices } from "./many_services.ts";
import { measureAgainstPromClient } from "./prom_client.ts";
import { measureRegistrations } from "./registrations.ts";
import { formatReport } from "./report.ts";
import { Results } from "./results.ts";
import { measureSamples } from "./sample.ts";
import { FULL, QUICK } from "./settings.ts";
import { measureUpdates } from "./update.ts";

const { values } = parseArgs({
  options: { json: { type: "boolean" }, quick: { type: "boolean" } },
});
const settings = values.quick ? QUICK : FULL;
const memory = "/dev/shm";
const onTmpfs = isWritable(memory);
const folder = mkdtempSync(join(onTmpfs ? memory : tmpdir(), "utilization-bench-"));
const results = new Results();
const additions: number[] = [];
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));

additions.push(additionsPerNanosecond());
measureFirstSample(folder, settings, results);
await measureRegistrations(folder, settings, results);
additions.push(additionsPerNanosecond());
measureUpdates(folder, settings, results);
additions.push(additionsPerNanosecond());
await measureSamples(folder, settings, results);
additions.push(additionsPerNanosecond());
await measureAgainstPromClient(folder, settings, results);
await measureManyServices(folder, settings, results);
measureArtifact(results);

const environment = describeEnvironment(onTmpfs, settings, additions);
const { rows, notMeasured, failures } = results;
if (values.json) console.log(JSON.stringify({ environment, rows, notMeasured, failures }, null, 2));
else console.log(formatReport(environment, results));
for (const failure of failures) console.error(`FAILED CHECK: ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
