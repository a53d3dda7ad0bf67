// A worker of a service: it counts, and knows nothing of OpenTelemetry.

import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "utilization-monitor";

const { requests_total, requests_active } = connect({
  name: process.argv[2],
  schema: { requests_total: "u64", requests_active: "u32" },
}).metrics;

setInterval(() => {
  requests_total.increment();
  requests_active.track(() => sleep(50));
}, 100);
