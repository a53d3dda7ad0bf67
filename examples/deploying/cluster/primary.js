// The primary of node:cluster with the supervisor in it: node primary.js. Workers are instrumented,
// find it by their environment, and are started again when they die.

import cluster from "node:cluster";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Supervisor, UtilizationMonitor } from "utilization-monitor";
import { HttpServer } from "utilization-monitor/http";

/** How long workers may take to end. */
const GRACE_MS = 5000;

const { RUNTIME_DIRECTORY, WORKERS = String(availableParallelism()), METRICS } = process.env;
// Under systemd, which separates several by colons, the folder stays, and the next supervisor goes on
// with what is in it.
const folder = RUNTIME_DIRECTORY?.split(":")[0] ?? mkdtempSync(join(tmpdir(), "web-"));
const monitor = new UtilizationMonitor({ path: join(folder, "default.shm") });
const supervisor = await Supervisor.listen({
  socket: join(folder, "default.ipc"),
  monitors: [monitor],
});
const http = await HttpServer.listen({
  supervisor,
  monitors: [monitor],
  address: METRICS ?? "127.0.0.1:9464",
});
console.log(`metrics ${http.url}`);

cluster.setupPrimary({
  exec: fileURLToPath(new URL("../server.js", import.meta.url)),
  execArgv: [...process.execArgv, "--import", import.meta.resolve("utilization-monitor/auto")],
});
let isStopping = false;
for (let number = 0; number < Number(WORKERS); number++) start();

function start() {
  cluster.fork({ ...supervisor.env, UTILIZATION_NAME: "web" });
}

cluster.on("exit", async () => {
  // One that dies at its start must not be started a thousand times a second.
  await sleep(500);
  if (!isStopping) start();
});

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, stop);

async function stop() {
  isStopping = true;
  const workers = Object.values(cluster.workers);
  const gone = Promise.all(workers.map((worker) => once(worker, "exit")));
  cluster.disconnect();
  // One that is blocked does not hear it, and would outlive the primary.
  await Promise.race([gone, sleep(GRACE_MS)]);
  for (const worker of workers) if (!worker.isDead()) worker.process.kill("SIGKILL");
  await gone;
  await http.close();
  await supervisor.close();
  if (RUNTIME_DIRECTORY === undefined) rmSync(folder, { recursive: true });
  process.exit();
}
