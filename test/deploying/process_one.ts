// What containers do, by namespaces and mounts: there is no container engine here.

import assert from "node:assert/strict";
import { chownSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { runCli } from "../fixtures/cli_process.ts";
import { Scene } from "../support/scene.ts";
import {
  mountMemory,
  ofUser,
  run,
  singleUser,
  uncontainable,
  withMounts,
} from "../support/system.ts";
import { until } from "../support/until.ts";
import { example, fetchBody, Service, UTILIZATION, untilMetric } from "./example.ts";

const LIMIT = { timeout: 60_000, skip: uncontainable };
const USER = 23_456;
const UNSHARE = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"];

function childOf(processId: number): number {
  const path = `/proc/${processId}/task/${processId}/children`;
  return Number(readFileSync(path, "utf8").trim());
}

it("`run` is process 1 on a read-only root, and SIGTERM ends it in order", LIMIT, async (t) => {
  const scene = new Scene(t);
  const folder = mountMemory(scene, "run", "size=64m");
  const script = `set -e; mount --bind ${folder} ${folder}; mount -o remount,bind,ro /; exec "$@"`;
  const words = ["run", "--workers", "2", "--cluster", "--dir", folder, "--http", "127.0.0.1:0"];
  const service = new Service(
    t,
    [
      ...[...UNSHARE, "sh", "-c", script, "sh", process.execPath, UTILIZATION, ...words],
      ...["--", process.execPath, example("server.js")],
    ],
    { PORT: "0", UTILIZATION_NAME: "web" },
  );
  const metrics = await service.says(/Serving (\S+)/);
  const port = await service.says(/port (\d+)/);
  await untilMetric(metrics, 'utilization_workers{service="web"} 2');
  assert.notEqual(await fetchBody(`http://127.0.0.1:${port}/`), "");
  assert.equal(await fetchBody(new URL("/healthz", metrics).href), "ok\n");
  const first = childOf(service.pid);
  assert.match(readFileSync(`/proc/${first}/status`, "utf8"), /^NSpid:\s+\d+\s+1$/m);
  process.kill(first, "SIGTERM");
  assert.deepEqual(await service.exited, [0, null], service.output);
  assert.deepEqual(readdirSync(folder), []);
});

it("an emptyDir is refused for being open, and a folder in it is not", {
  ...LIMIT,
  skip: uncontainable || singleUser,
}, async (t) => {
  const scene = new Scene(t);
  run("chmod", "0711", scene.folder);
  const volume = mountMemory(scene, "pod", "size=16m");
  // As the kubelet leaves it with `fsGroup`.
  chownSync(volume, 0, USER);
  run("chmod", "2777", volume);
  const { execPath, execArgv } = ofUser(USER).options;
  const supervise = (dir: string) =>
    new Service(t, [execPath, ...execArgv, UTILIZATION, "supervise", "--dir", dir]);
  const refused = supervise(volume);
  assert.deepEqual(await refused.exited, [1, null]);
  assert.match(refused.output, /Cannot use folder ".*\/pod": everybody may write to it/);
  const { stdout, code } = await runCli(t, ["doctor", "--dir", volume]);
  assert.equal(code, 1);
  assert.match(stdout, /mode 2777: everybody\s+may\s+replace/);

  const dir = join(volume, "utilization");
  await supervise(dir).says(/Listening on/);
  const worker = scene.child("worker_process", {}, ofUser(USER));
  const schema = { requests_total: "u64" };
  await worker.ask("open", { name: "web", schema, socket: join(dir, "default.ipc") });
  await worker.ask("add", { by: 3 });
  await until(async () => {
    const status = await runCli(t, ["status", "--dir", dir]);
    return status.stdout.includes('"requests_total":3');
  }, "the worker is seen");
});

it("a worker that has the folder read-only is refused, and says so", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const folder = scene.folder;
  const freeze = `mount --bind ${folder} ${folder}; mount -o remount,bind,ro ${folder}`;
  const worker = scene.child("worker_process", {}, withMounts(freeze));
  const schema = { requests_total: "u64" };
  await worker.ask("open", { name: "web", schema, socket: scene.socket });
  await until(() => worker.logged("EROFS: read-only file system").length > 0, "it says why");
  assert.deepEqual(scene.monitor.sampleByWorker(), []);
});
