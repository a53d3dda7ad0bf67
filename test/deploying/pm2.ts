// The ecosystem file under PM2, as it is on npm: `npm run test:tools` installs it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { projectFile } from "../data.ts";
import { afterTest } from "../support/after_test.ts";
import { until } from "../support/until.ts";
import { example, fetchBody, untilMetric } from "./example.ts";

const PM2 = fileURLToPath(projectFile("test/tools/node_modules/pm2/bin/pm2"));

/** A port that was free a moment ago. */
async function freePort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return String(port);
}

it("PM2 runs a supervisor, and services in both modes that it sees", {
  timeout: 90_000,
}, async (t) => {
  const home = mkdtempSync(join(tmpdir(), "um-"));
  const [PORT, ADMIN_PORT, METRICS] = [await freePort(), await freePort(), await freePort()];
  const env = {
    ...process.env,
    PORT,
    ADMIN_PORT,
    METRICS,
    UTILIZATION_DIR: undefined,
    PM2_HOME: join(home, "pm2"),
    PM2_DISABLE_VERSION_CHECK: "true",
  };
  const pm2 = (...args: string[]) =>
    promisify(execFile)(process.execPath, [PM2, "--silent", ...args], {
      env,
      cwd: home,
      timeout: 20_000,
    });
  afterTest(t, async () => {
    await pm2("kill");
    rmSync(home, { recursive: true, force: true });
  });
  await pm2("start", example("pm2/ecosystem.config.cjs"));
  const metrics = `http://127.0.0.1:${METRICS}`;
  await untilMetric(metrics, 'utilization_workers{service="web"} 2');
  await untilMetric(metrics, 'utilization_workers{service="admin"} 1');
  const server = `http://127.0.0.1:${PORT}/`;
  const pids = new Set<string>();
  for (let count = 0; count < 6; count++) pids.add(await fetchBody(server));
  await fetchBody(`http://127.0.0.1:${ADMIN_PORT}/`);
  await untilMetric(metrics, 'utilization_requests_total{service="web"} 6');
  await untilMetric(metrics, 'utilization_requests_total{service="admin"} 1');

  process.kill(Number([...pids][0]), "SIGKILL");
  await until(
    async () => !pids.has(await fetchBody(server).catch(() => [...pids][0]!)),
    "a new one",
  );
  await untilMetric(metrics, 'utilization_workers{service="web"} 2');
  const before = await fetchBody(`${metrics}/metrics`);
  await pm2("restart", "utilization");
  await untilMetric(metrics, 'utilization_workers{service="web"} 2');
  const total = (text: string) =>
    Number(/^utilization_requests_total\{service="web"\} (\d+)$/m.exec(text)?.[1]);
  const after = await fetchBody(`${metrics}/metrics`);
  assert.ok(
    total(before) >= 6 && total(after) >= total(before),
    `${total(before)}, ${total(after)}`,
  );
});
