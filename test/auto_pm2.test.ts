// Automatic instrumentation under PM2, as it is on npm: `npm run test:tools` installs it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";
import { projectFile } from "./data.ts";
import { instrumented, notNode, untilSums, workersOf } from "./support/auto.ts";
import { fetchText } from "./support/http_client.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const PROGRAM = programOf("pm2");
const APPLICATION = `
  const { createServer } = require("node:http");
  const { writeFileSync, renameSync } = require("node:fs");
  const server = createServer((_, response) => response.end("hello"));
  server.listen(0, "127.0.0.1", () => {
    const path = __dirname + "/" + process.env.name;
    writeFileSync(path + process.pid, String(server.address().port));
    renameSync(path + process.pid, path + ".port");
  });`;

function programOf(name: string): string | null {
  try {
    const tools = createRequire(projectFile("test/tools/package.json"));
    return join(dirname(tools.resolve(`${name}/package.json`)), "bin", name);
  } catch {
    return null;
  }
}

it("PM2's fork and cluster modes count the application's processes alone", {
  timeout: 120_000,
  skip: notNode || (PROGRAM === null && "PM2 is not installed: npm run test:tools"),
}, async (t) => {
  const scene = await Scene.supervised(t);
  writeFileSync(scene.path("app.cjs"), APPLICATION);
  // A queue's worker: it serves nobody.
  writeFileSync(scene.path("queue.mjs"), "setInterval(() => {}, 1000)");
  const env = {
    ...process.env,
    ...instrumented(scene),
    PM2_HOME: scene.path("pm2"),
    PM2_DISABLE_VERSION_CHECK: "true",
  };
  const pm2 = (...args: string[]) =>
    promisify(execFile)(process.execPath, [PROGRAM!, "--silent", ...args], { env });
  scene.atEnd(() => pm2("kill"));

  await pm2("start", scene.path("app.cjs"), "--name", "forked");
  await pm2("start", scene.path("app.cjs"), "--name", "clustered", "-i", "2");
  await pm2("start", scene.path("queue.mjs"), "--name", "queue");
  for (const [name, count] of [
    ["forked", 1],
    ["clustered", 2],
    ["queue", 1],
  ] as const) {
    await until(() => workersOf(scene, name).length === count, `${name} is seen`);
  }
  for (const name of ["forked", "clustered"]) {
    const file = scene.path(`${name}.port`);
    await until(() => existsSync(file), `${name} listens`);
    const port = Number(readFileSync(file, "utf8"));
    for (let i = 0; i < 6; i++) assert.equal(await fetchText(port), "hello");
    await untilSums(scene, { requests_total: 6, connections_total: 6, requests_active: 0 }, name);
  }
  // Neither PM2's daemon nor its command line is among them.
  assert.deepEqual(Object.keys(scene.monitor.sample()).sort(), ["clustered", "forked", "queue"]);

  const before = workersOf(scene, "clustered").map(({ processId }) => processId);
  await pm2("reload", "clustered");
  await until(() => {
    const now = workersOf(scene, "clustered").map(({ processId }) => processId);
    return now.length === 2 && now.every((pid) => !before.includes(pid));
  }, "others have taken their places");
  assert.equal(scene.total("clustered"), 6n);
});
