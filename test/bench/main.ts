// npm run bench [-- --json | --markdown] [--quick]: measures what docs/benchmarks.md describes.
// npm run bench -- --plot: measures and draws docs/benchmarks.svg.

import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { projectFile } from "../data.ts";
import { measureArtifact } from "./artifact.ts";
import { measureBlockedWorker } from "./blocked_worker.ts";
import { measureClusterMetrics } from "./cluster_metrics.ts";
import { measureCurves } from "./curves.ts";
import { additionsPerNanosecond, describeEnvironment } from "./environment.ts";
import { measureFirstSample } from "./first_sample.ts";
import { measureInstrumentation } from "./instrumentation.ts";
import { measureManyServices } from "./many_services.ts";
import { measureAgainstPromClient } from "./prom_client.ts";
import { measureRegistered } from "./registered.ts";
import { measureRegistrations } from "./registrations.ts";
import { formatMarkdown, formatReport } from "./report.ts";
import { Results } from "./results.ts";
import { measureSamples } from "./sample.ts";
import { measureScrapes } from "./scrape.ts";
import { FULL, QUICK } from "./settings.ts";
import { measureSuperviseStart } from "./supervise_start.ts";
import { measureUpdates } from "./update.ts";

const { values } = parseArgs({
  options: {
    json: { type: "boolean" },
    markdown: { type: "boolean" },
    plot: { type: "boolean" },
    quick: { type: "boolean" },
  },
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

if (values.plot) await drawCurves();
else await measureAll();
for (const failure of results.failures) console.error(`FAILED CHECK: ${failure}`);
process.exitCode = results.failures.length === 0 ? 0 : 1;

async function measureAll(): Promise<void> {
  additions.push(additionsPerNanosecond());
  measureFirstSample(folder, settings, results);
  await measureSuperviseStart(folder, settings, results);
  await measureRegistrations(folder, settings, results);
  additions.push(additionsPerNanosecond());
  measureUpdates(folder, settings, results);
  additions.push(additionsPerNanosecond());
  await measureSamples(folder, settings, results);
  additions.push(additionsPerNanosecond());
  await measureAgainstPromClient(folder, settings, results);
  measureClusterMetrics(folder, settings, results);
  await measureBlockedWorker(folder, settings, results);
  await measureManyServices(folder, settings, results);
  await measureRegistered(folder, settings, results);
  await measureScrapes(folder, settings, results);
  await measureInstrumentation(folder, settings, results);
  measureArtifact(results);

  const environment = describeEnvironment(onTmpfs, settings, additions);
  if (values.json) {
    const { rows, targets, blocked, notMeasured, failures } = results;
    const all = { environment, targets, rows, blocked, notMeasured, failures };
    console.log(JSON.stringify(all, null, 2));
  } else {
    const format = values.markdown ? formatMarkdown : formatReport;
    console.log(format(environment, results));
  }
}

/** Loaded only here: nothing else needs what draws it. */
async function drawCurves(): Promise<void> {
  const { drawPlot } = await import("./plot.ts");
  const points = await measureCurves(folder, settings, results);
  const { runtime, cpu, file } = describeEnvironment(onTmpfs, settings, additions);
  const path = fileURLToPath(projectFile("docs/benchmarks.svg"));
  writeFileSync(path, drawPlot(points, `${runtime.split(",")[0]}; ${cpu}; ${file}`));
  console.log(`Wrote ${path}`);
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
