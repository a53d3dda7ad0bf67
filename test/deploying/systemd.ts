// The units, checked by systemd itself, and what it does with them, done by hand: it is not process 1 here.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { isRunning } from "../fixtures/cli_process.ts";
import { temporaryFolder } from "../support/folder.ts";
import { example, fetchBody, Service, UTILIZATION, untilMetric } from "./example.ts";

const UNITS = readdirSync(example("systemd"));
const missing =
  spawnSync("systemd-analyze", ["--version"]).error !== undefined &&
  "systemd-analyze is not installed: apt-get install systemd";

/** What systemd says against units whose programs are there. */
function complaints(folder: string): string {
  const paths = readdirSync(folder)
    .filter((name) => name.endsWith(".service"))
    .map((name) => join(folder, name));
  const { stdout, stderr } = spawnSync("systemd-analyze", ["verify", ...paths], {
    encoding: "utf8",
  });
  return (stdout + stderr)
    .split("\n")
    .filter((line) => line.includes(folder) || UNITS.some((unit) => line.includes(unit)))
    .join("\n");
}

it("systemd finds nothing wrong with the units", { skip: missing }, (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, "node_modules/.bin"), { recursive: true });
  cpSync(process.execPath, join(folder, "node_modules/.bin/utilization"));
  for (const unit of UNITS) {
    const text = readFileSync(join(example("systemd"), unit), "utf8");
    const here = text.replaceAll("/srv/app", folder).replaceAll("/usr/bin/node", process.execPath);
    writeFileSync(join(folder, unit), here);
  }
  assert.equal(complaints(folder), "");
  writeFileSync(join(folder, "web.service"), "[Service]\nExecStart=/bin/true\nKilMode=mixed\n");
  assert.match(complaints(folder), /KilMode/);
});

/** The options of `web.service`, as far as the paths of this test allow it. */
function start(t: Parameters<typeof temporaryFolder>[0], folder: string, script: string): Service {
  const options = [
    "--workers",
    "2",
    "--cluster",
    "--keep",
    "--grace",
    "1s",
    "--http",
    "127.0.0.1:0",
  ];
  return new Service(
    t,
    [process.execPath, UTILIZATION, "run", ...options, "--", process.execPath, script],
    { RUNTIME_DIRECTORY: folder, UTILIZATION_NAME: "web", PORT: "0" },
  );
}

it("KillMode=mixed with RuntimeDirectoryPreserve=yes: all end in order, and totals go on", {
  timeout: 60_000,
}, async (t) => {
  const folder = temporaryFolder(t);
  const first = start(t, folder, example("server.js"));
  const metrics = await first.says(/Serving (\S+)/);
  const port = await first.says(/port (\d+)/);
  await untilMetric(metrics, 'utilization_workers{service="web"} 2');
  const pids = new Set<number>();
  for (let count = 0; count < 4; count++) {
    pids.add(Number(await fetchBody(`http://127.0.0.1:${port}/`)));
  }
  await untilMetric(metrics, 'utilization_requests_total{service="web"} 4');
  process.kill(first.pid, "SIGTERM");
  assert.deepEqual(await first.exited, [0, null], first.output);
  for (const pid of pids) assert.equal(isRunning(pid), false);
  assert.deepEqual(readdirSync(folder).sort(), ["default.shm", "default.shm.journal"]);

  const second = start(t, folder, example("server.js"));
  const again = await second.says(/Serving (\S+)/);
  await untilMetric(again, 'utilization_workers{service="web"} 2');
  await untilMetric(again, 'utilization_requests_total{service="web"} 4');
});

it("a worker that ignores SIGTERM is killed before TimeoutStopSec, and SIGKILL to the group finds nobody", {
  timeout: 60_000,
}, async (t) => {
  const folder = temporaryFolder(t);
  const script = join(folder, "deaf.mjs");
  writeFileSync(
    script,
    `process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("pid", process.pid);`,
  );
  const service = start(t, folder, script);
  await service.says(/pid \d+\s[\s\S]*pid \d+\s/);
  const pids = [...service.output.matchAll(/pid (\d+)/g)].map(([, id]) => Number(id));
  process.kill(service.pid, "SIGTERM");
  assert.deepEqual(await service.exited, [1, null], service.output);
  for (const pid of pids) assert.equal(isRunning(pid), false);
  assert.throws(() => process.kill(-service.pid, 0), { code: "ESRCH" });
});
