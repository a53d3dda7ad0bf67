// What a scrape costs the supervisor: workers with the fields of the automatic instrumentation, as
// services alone and each by itself.

import { join } from "node:path";
import { DURATION, DURATION_OPTIONS, PROCESS_FIELDS } from "../../host/auto/fields.ts";
import { silentLogger } from "../../host/log.ts";
import { metricsText } from "../../host/prometheus.ts";
import { Schema } from "../../host/schema.ts";
import { UtilizationMonitor } from "../../host/utilization_monitor.ts";
import { progress, type Results } from "./results.ts";
import { interleave, timed } from "./rounds.ts";
import { makeRow } from "./row.ts";
import type { Settings } from "./settings.ts";

const SIZES = [10, 100, 1000];

export async function measureScrapes(
  folder: string,
  settings: Settings,
  results: Results,
): Promise<void> {
  for (const size of SIZES) {
    progress(`scrapes: ${size} workers`);
    const monitor = await makeMonitor(join(folder, `scrape-${size}.shm`), size);
    for (const byWorker of [false, true]) {
      const name = `scrape${byWorker ? " by worker" : ""}, ${size} workers`;
      // As it is sent.
      const scrape = (): Buffer => Buffer.from(metricsText([monitor], { byWorker }));
      const text = scrape().toString();
      results.check(name, /^utilization_requests_total\{.*\} (\d+)$/m.exec(text)?.[1], sum(size));
      const figures = await interleave([timed("scrape", scrape, settings)], settings);
      const microseconds = figures.get("scrape")!.map((ns) => ns / 1000);
      const series = text.split("\n").filter((line) => /^\w/.test(line)).length;
      results.add(
        makeRow(name, "µs", microseconds),
        makeRow(`${name}: text`, "bytes", [text.length]),
        makeRow(`${name}: series`, "series", [series]),
      );
    }
    await monitor.close();
  }
}

/** Of the requests of all workers, as text. */
function sum(size: number): string {
  return String((size * (size - 1)) / 2);
}

/** Workers that answer at once, with values of which some have many digits. */
async function makeMonitor(path: string, size: number): Promise<UtilizationMonitor> {
  const histogram = { type: "histogram", ...DURATION_OPTIONS } as const;
  const schema = Schema.build({ ...PROCESS_FIELDS, [DURATION]: histogram });
  const rows = schema.toRows();
  const monitor = new UtilizationMonitor({ path, log: silentLogger });
  for (let id = 1; id <= size; id++) {
    const setupUtilizationObserver = async (): Promise<unknown> => rows;
    const worker = { setupUtilizationObserver };
    await monitor.register({ id, processId: null, state: { name: "web" }, worker });
  }
  const { file, segmentSize, usedSize } = monitor.allocator!;
  const bytes = new Uint8Array(usedSize);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < size; index++) {
    for (const { name, type, offset } of schema.fields) {
      const at = index * segmentSize + offset;
      if (name === "requests_total") view.setBigUint64(at, BigInt(index), true);
      else if (type === "u64") view.setBigUint64(at, BigInt(index * 1_234_567), true);
      else if (type === "f64") view.setFloat64(at, index / 7, true);
      else view.setUint32(at, index, true);
    }
  }
  file.write(bytes, 0);
  return monitor;
}
