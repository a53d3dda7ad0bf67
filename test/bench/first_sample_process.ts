// node first_sample_process.js FOLDER: registers 64 workers, takes the first sample, and says how
// long that took. It does what a supervisor does, and nothing else before.

import { join } from "node:path";
import { UtilizationMonitor } from "../../host/utilization_monitor.ts";
import type { FirstSample } from "./first_sample.ts";

// Not imported from first_sample.ts: this process loads only what a supervisor loads.
const WORKERS = 64;
const ROWS = Array.from({ length: 8 }, (_, i) => [`field_${i}`, "u64", i * 8]);

const nothing = (): void => {};
const monitor = new UtilizationMonitor({
  path: join(process.argv[2]!, `first-${process.pid}.shm`),
  log: { debug: nothing, info: nothing, warn: nothing, error: console.error },
});
for (let i = 0; i < WORKERS; i++) {
  const worker = {
    setupUtilizationObserver: async (_path: string, _size: number, offset: number) => {
      monitor.allocator!.file.write(new Uint8Array(new BigUint64Array([BigInt(i)]).buffer), offset);
      return ROWS;
    },
  };
  await monitor.register({ id: i + 1, processId: null, state: { name: "web" }, worker });
}
const start = performance.now();
const sample = monitor.sample();
const end = performance.now();

const { field_0, worker_count } = sample.web!;
const sums = { field_0: Number(field_0), worker_count };
const result: FirstSample = { first: end - start, sinceStart: end, sums };
process.stdout.write(JSON.stringify(result));
await monitor.close();
