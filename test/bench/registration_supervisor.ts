// node registration_supervisor.js SOCKET FILE: a supervisor that says what it has cost.

import { Supervisor } from "../../host/supervisor.ts";
import { UtilizationMonitor } from "../../host/utilization_monitor.ts";
import type { SupervisorUsage } from "./registrations.ts";

const [socket, path] = process.argv.slice(2);
const nothing = (): void => {};
const log = { debug: nothing, info: nothing, warn: console.error, error: console.error };
const monitor = new UtilizationMonitor({ path, log });
await Supervisor.listen({ socket, monitors: [monitor], log });

process.on("message", () => {
  const { user, system } = process.cpuUsage();
  const workers = monitor.sample().web?.worker_count ?? 0;
  const usage: SupervisorUsage = { cpu: user + system, workers };
  process.send!(usage);
});
process.on("disconnect", () => process.exit(0));
process.send!("listening");
