// The primary of node:cluster with the supervisor in it: node primary.js. Workers are instrumented,
// find it by their environment, and are started again when they die.

import cluster from "node:cluster";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Supervisor, UtilizationMonitor } from "utilization-monitor";
import { HttpServer } from "utilization-monitor/http";

const { RUNTIME_DIRECTORY, WORKERS = String(availableParallelism()), METRICS } = process.env;
// Under systemd the folder stays, and the next supervisor goes on with what is in it.
const folder = RUNTIME_DIRECTORY ?? mkdtempSync(join(tmpdir(), "web-"));
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
  await new Promise((resolve) => cluster.disconnect(resolve));
  await http.close();
  await supervisor.close();
  if (RUNTIME_DIRECTORY === undefined) rmSync(folder, { recursive: true });
  process.exit();
}
