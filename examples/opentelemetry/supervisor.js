// A supervisor that exports what its workers count, over OTLP: node supervisor.js
// It sends to OTEL_EXPORTER_OTLP_ENDPOINT, by default http://localhost:4318.

import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { Supervisor, UtilizationMonitor } from "utilization-monitor";
import { exportMetrics } from "utilization-monitor/opentelemetry";

const folder = mkdtempSync(join(tmpdir(), "utilization-"));
const monitor = new UtilizationMonitor({ path: join(folder, "app.shm") });
const supervisor = await Supervisor.listen({
  socket: join(folder, "app.ipc"),
  monitors: [monitor],
});

const provider = new MeterProvider({
  // One writer for all workers of this machine, whose services are in the attribute utilization.service.
  resource: resourceFromAttributes({
    "service.name": "utilization-supervisor",
    "service.instance.id": hostname(),
  }),
  readers: [
    new PeriodicExportingMetricReader({
      exporter: new OTLPMetricExporter(),
      exportIntervalMillis: Number(process.env.OTEL_METRIC_EXPORT_INTERVAL ?? 15_000),
      exportTimeoutMillis: Number(process.env.OTEL_METRIC_EXPORT_TIMEOUT ?? 5000),
    }),
  ],
});
exportMetrics(provider.getMeter("utilization-monitor"), { supervisor, monitors: [monitor] });

const worker = fileURLToPath(new URL("worker.js", import.meta.url));
const env = { ...process.env, ...supervisor.env };
const workers = ["web", "web", "api"].map((name) => fork(worker, [name], { env }));

process.once("SIGTERM", stop);
process.once("SIGINT", stop);

async function stop() {
  const ended = workers.map((worker) => new Promise((resolve) => worker.once("exit", resolve)));
  for (const worker of workers) worker.kill();
  await Promise.all(ended);
  // Exports once more: what the workers counted last is in it.
  await provider.shutdown().catch((error) => console.error(error.message));
  await supervisor.close();
  rmSync(folder, { recursive: true, force: true });
}
