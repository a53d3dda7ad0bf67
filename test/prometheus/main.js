// What a real Prometheus makes of our metrics while workers and supervisors are killed: `npm run
// test:prometheus`. The truth is what the load was answered, not what the metrics say.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Supervisor, UtilizationMonitor } from "../../dist/host/index.js";
import { addMonitors, metricsText } from "../../dist/host/prometheus.js";
import { Load } from "./load.js";
import { checkMetrics, freePort, Prometheus, SCRAPE_MS, until } from "./prometheus.js";
import { pathOf, Scene } from "./scene.js";

const { Registry } = createRequire(import.meta.url)("prom-client");

const WORKERS = 4;
const REQUESTS = 'utilization_requests_total{service="web"}';
const OPENMETRICS =
  "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** Prometheus, and the time since which it has seen the metrics of a scene. */
async function watch(test, scene) {
  const prometheus = await Prometheus.start(test, { web: { targets: [scene.target] } });
  await prometheus.untilUp();
  await prometheus.untilValue(REQUESTS, (value) => value === 0);
  return { prometheus, since: performance.now() };
}

/** Holds what Prometheus has counted since then against what was answered. */
async function checkIncrease({ prometheus, since }, answers) {
  assert.ok(answers > 500, `only ${answers} requests were answered`);
  // All that was answered has been scraped when nothing changes any more.
  let last = -1;
  await until(async () => {
    const before = last;
    last = await prometheus.value(REQUESTS);
    await sleep(2 * SCRAPE_MS);
    return last === before;
  }, "the last values are scraped");
  const seconds = Math.ceil((performance.now() - since) / 1000);
  // At the time of a sample nothing has to be extrapolated.
  const at = await prometheus.value(`timestamp(${REQUESTS})`);
  const increase = await prometheus.value(`increase(${REQUESTS}[${seconds}s])`, at);
  const resets = await prometheus.value(`resets(${REQUESTS}[${seconds}s])`, at);
  const off = Math.abs(increase - answers) / answers;
  console.log(`increase ${increase.toFixed(1)}, answers ${answers}, resets ${resets}`);
  assert.equal(resets, 0);
  assert.ok(off <= 0.02, `increase ${increase} for ${answers} answers: off by ${off}`);
}

/** Process ids of the workers, by what their command line contains. */
function workersOf(text) {
  return readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && commandOf(pid).includes(text));
}

function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

describe("utilization run", () => {
  it("counts on when a worker is killed", async (t) => {
    const scene = await Scene.make(t);
    const port = await freePort();
    const args = ["--workers", WORKERS, "--cluster", "--name", "web"];
    const words = [process.execPath, pathOf("server.js"), port];
    await scene.supervise("run", args, words);
    await scene.untilWorkers("web", WORKERS);
    const watched = await watch(t, scene);
    const load = Load.start(t, [port]);
    await sleep(4000);
    const [victim, ...others] = workersOf(`server.js ${port}`).filter(
      (pid) => !commandOf(pid).includes("main.js"),
    );
    assert.equal(others.length, WORKERS - 1);
    process.kill(Number(victim), "SIGKILL");
    await sleep(4000);
    await checkIncrease(watched, await load.stop());
    const { prometheus } = watched;
    await prometheus.untilValue('utilization_restarts_total{service="web"}', (n) => n === 1);
    await prometheus.untilValue('utilization_workers{service="web"}', (n) => n === WORKERS);
  });

  it("counts on when it is killed itself, and started again", async (t) => {
    const scene = await Scene.make(t);
    const port = await freePort();
    const args = ["--workers", WORKERS, "--cluster", "--name", "web"];
    const words = [process.execPath, pathOf("server.js"), port];
    const first = await scene.supervise("run", args, words);
    await scene.untilWorkers("web", WORKERS);
    const watched = await watch(t, scene);
    const load = Load.start(t, [port]);
    await sleep(4000);
    first.child.kill("SIGKILL");
    await first.ended;
    await until(() => workersOf(`server.js ${port}`).length === 0, "its workers have ended");
    await scene.supervise("run", args, words);
    await scene.untilWorkers("web", WORKERS);
    await sleep(4000);
    await checkIncrease(watched, await load.stop());
  });
});

describe("utilization supervise", () => {
  it("counts on when it is killed, and started again beside workers that live", async (t) => {
    const scene = await Scene.make(t);
    const first = await scene.supervise("supervise");
    const ports = await Promise.all(Array.from({ length: WORKERS }, () => freePort()));
    const env = { UTILIZATION_SUPERVISOR: scene.socket, UTILIZATION_NAME: "web" };
    for (const port of ports) scene.start(pathOf("server.js"), [port, "self"], env);
    await scene.untilWorkers("web", WORKERS);
    const watched = await watch(t, scene);
    const load = Load.start(t, ports);
    await sleep(4000);
    first.child.kill("SIGKILL");
    await first.ended;
    await sleep(2000);
    await scene.supervise("supervise");
    await scene.untilWorkers("web", WORKERS);
    await sleep(4000);
    await checkIncrease(watched, await load.stop());
  });
});

describe("metrics", () => {
  it("are what promtool and both parsers of Prometheus want, also by worker", async (t) => {
    const scene = await Scene.make(t);
    const port = await freePort();
    const words = [process.execPath, pathOf("server.js"), port];
    await scene.supervise("run", ["--workers", WORKERS, "--cluster", "--name", "web"], words);
    await scene.untilWorkers("web", WORKERS);
    for (const path of ["/metrics", "/metrics?workers"]) {
      const { text, response } = await scene.metrics({ path });
      assert.match(response.headers["content-type"], /^text\/plain; version=0\.0\.4/);
      assert.equal(checkMetrics(text), "");
    }
    const { response } = await scene.metrics({ accept: OPENMETRICS });
    assert.match(response.headers["content-type"], /^application\/openmetrics-text/);
    const prometheus = await Prometheus.start(t, {
      web: { targets: [scene.target] },
      workers: { targets: [scene.target], params: { workers: "1" } },
    });
    await prometheus.untilUp();
    await prometheus.untilValue('utilization_workers{job="web"}', (n) => n === WORKERS);
    await prometheus.untilValue("count(utilization_worker_rss_bytes)", (n) => n === WORKERS);
    await prometheus.untilValue(
      'sum(utilization_worker_rss_bytes) / sum(utilization_rss_bytes{job="workers"})',
      (ratio) => ratio > 0.9 && ratio < 1.1,
    );
  });

  it("have histograms, of which Prometheus tells quantiles", async (t) => {
    const scene = await Scene.make(t);
    const path = join(scene.folder, "default.shm");
    const monitor = new UtilizationMonitor({ path, log: SILENT });
    const options = { socket: scene.socket, monitors: [monitor], log: SILENT };
    const supervisor = await Supervisor.listen(options);
    t.after(() => supervisor.close());
    const registry = new Registry();
    addMonitors(registry, [monitor], { supervisor });
    const server = createServer(async ({ url }, response) => {
      response.setHeader("content-type", registry.contentType);
      response.end(
        url === "/registry"
          ? await registry.metrics()
          : metricsText([monitor], { supervisor, byWorker: true }),
      );
    });
    await new Promise((resolve) => server.listen(scene.port, "127.0.0.1", resolve));
    t.after(() => server.close().closeAllConnections());
    for (let worker = 0; worker < 2; worker++) {
      scene.start(pathOf("histogram_worker.js"), [scene.socket]);
    }
    const lines = [
      'utilization_wait_seconds_bucket{service="web",le="+Inf"} 200\n',
      'utilization_wait_seconds_count{service="web"} 200\n',
    ];
    await until(async () => {
      const { text } = await scene.metrics();
      return lines.every((line) => text.includes(line));
    }, "all is counted");
    for (const path of ["/metrics", "/registry"]) {
      assert.equal(checkMetrics((await scene.metrics({ path })).text), "", path);
    }
    const targets = [scene.target];
    const prometheus = await Prometheus.start(t, {
      registry: { targets, path: "/registry" },
      text: { targets },
    });
    await prometheus.untilUp();
    for (const job of ["registry", "text"]) {
      const of = (name) => `utilization_wait_seconds_${name}{job="${job}"}`;
      // Evenly spread waits: what is between two bounds is where Prometheus takes it to be.
      for (const [quantile, expected] of [
        [0.1, 0.1],
        [0.5, 0.5],
        [0.9, 0.9],
      ]) {
        const expression = `histogram_quantile(${quantile}, ${of("bucket")})`;
        await prometheus.untilValue(expression, (value) => Math.abs(value - expected) < 1e-9);
      }
      await prometheus.untilValue(of("sum"), (value) => Math.abs(value - 101) < 1e-6);
      await prometheus.untilValue(of("count"), (value) => value === 200);
    }
    await prometheus.untilValue("count(utilization_worker_wait_seconds_count)", (n) => n === 2);
  });
});
