import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { get } from "node:http";
import { dirname } from "node:path";
import { it } from "node:test";
import { isRunning } from "../fixtures/cli_process.ts";
import { example, fetchBody, Service, untilMetric } from "./example.ts";

it("a primary of node:cluster sees its workers, and keeps what a killed one counted", {
  timeout: 60_000,
}, async (t) => {
  const env = { WORKERS: "2", PORT: "0", METRICS: "127.0.0.1:0" };
  const service = new Service(t, [process.execPath, example("cluster/primary.js")], env);
  const metrics = await service.says(/metrics (\S+)/);
  const server = `http://127.0.0.1:${await service.says(/port (\d+)/)}/`;
  const folder = dirname(await service.says(/Sharing "(\S+)"/));
  await untilMetric(metrics, 'utilization_workers{service="web"} 2');

  const seen = new Set<number>();
  for (let count = 0; count < 10; count++) seen.add(Number(await fetchBody(server)));
  await untilMetric(metrics, 'utilization_requests_total{service="web"} 10');
  assert.equal(seen.size, 2, "both have served");
  process.kill([...seen][0]!, "SIGKILL");
  await service.says(/Removed worker 1|Removed worker 2/);
  await service.says(/worker_id: 3/);
  await untilMetric(metrics, 'utilization_workers{service="web"} 2');
  await untilMetric(metrics, 'utilization_requests_total{service="web"} 10');

  // One is blocked by then, and must not outlive the primary.
  const pids = new Set<number>();
  while (pids.size < 2) pids.add(Number(await fetchBody(server)));
  get(`${server}block`).on("error", () => {});
  await untilMetric(metrics, 'utilization_stalled_workers{service="web"} 1');
  service.process.kill("SIGTERM");
  assert.deepEqual(await service.exited, [0, null], service.output);
  assert.equal(existsSync(folder), false);
  assert.deepEqual([...pids].filter(isRunning), []);
});
