// Several machines, in folders of their own, as one Prometheus sees them with the rules and the
// dashboard of examples/fleet: scraped by it, and by an agent that writes to it.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Load } from "./load.js";
import { freePort, Prometheus, promtool, SCRAPE_MS, until } from "./prometheus.js";
import { pathOf, Scene } from "./scene.js";

const FOLDER = fileURLToPath(new URL("../../examples/fleet/", import.meta.url));
const MACHINES = 3;
const WORKERS = 2;
/** That of the rules is 5 minutes. */
const WINDOW_MS = 10_000;
/** Requests that a dying process has counted and not answered. */
const MOST_LOST = 16;
const TOTAL = 'sum(utilization_requests_total{service="web"})';

/** A supervisor with workers, and its server's port. */
class Machine {
  constructor(scene, port) {
    this.scene = scene;
    this.port = port;
  }

  static async start(test) {
    const machine = new Machine(await Scene.make(test), await freePort());
    await machine.supervise();
    return machine;
  }

  async supervise() {
    const args = ["--workers", WORKERS, "--cluster", "--name", "web"];
    const words = [process.execPath, pathOf("server.js"), this.port];
    this.supervisor = await this.scene.supervise("run", args, words);
    await this.scene.untilWorkers("web", WORKERS);
  }

  /** Process ids. */
  async workers() {
    const { text } = await this.scene.metrics({ path: "/status?workers", accept: "*/*" });
    return JSON.parse(text)[0].workers.map(({ processId }) => processId);
  }
}

/** One that is a zombie runs no more. */
function isRunning(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8") !== "";
  } catch {
    return false;
  }
}

/** The rules, with a window that a test can wait for. */
function quickRules(folder) {
  const path = join(folder, "rules.yml");
  const text = readFileSync(join(FOLDER, "rules.yml"), "utf8");
  writeFileSync(path, text.replaceAll("[5m]", `[${WINDOW_MS / 1000}s]`));
  return path;
}

const dashboard = JSON.parse(readFileSync(join(FOLDER, "dashboard.json"), "utf8"));

/** Each query of the dashboard by its panel and legend, for all machines. */
function dashboardQueries() {
  return dashboard.panels.flatMap(({ title, targets }) =>
    targets.map(({ refId, expr }) => ({
      name: `${title} ${refId}`,
      expression: expr.replaceAll("$service", "web").replaceAll("$instance", ".*"),
    })),
  );
}

/** What each panel must show, of a load that is answered so many times a second. */
function truths(rate) {
  const isNear = (value, expected) => Math.abs(value - expected) <= 0.15 * expected;
  return {
    "Machines A": ([value]) => value === MACHINES,
    "Workers A": ([value]) => value === MACHINES * WORKERS,
    "Stalled workers A": ([value]) => value === 0,
    // Extrapolated: the series are younger than an hour.
    "Restarts in an hour A": ([value]) => value >= 0.9 && value < 1.5,
    "Requests A": ([value]) => isNear(value, rate),
    "Requests of machines A": (values) =>
      values.length === MACHINES && values.every((value) => isNear(value, rate / MACHINES)),
    "Latency A": ([value]) => value > 0 && value < 1,
    "Latency B": ([value]) => value > 0 && value < 10,
    "Event loop utilization A": ([value]) => value > 0 && value <= 1,
    "Event loop utilization B": ([value]) => value > 0 && value <= 1,
    "Busiest machines A": (values) => values.length === MACHINES,
    "Requests under way A": ([value]) => value >= 0 && value <= 8,
    "Event loop delay, worst worker A": ([value]) => value >= 0 && value < 10,
    "Processors A": ([value]) => value > 0,
    "Memory A": ([value]) => value > MACHINES * WORKERS * 2 ** 24,
  };
}

/** Waits until each panel shows what is true. */
async function checkDashboard(prometheus, load) {
  const expected = truths(await rateOf(load));
  const queries = dashboardQueries();
  assert.deepEqual(new Set(queries.map(({ name }) => name)), new Set(Object.keys(expected)));
  for (const { name, expression } of queries) {
    let values = [];
    await until(
      async () => {
        values = (await prometheus.query(expression)).map(({ value }) => value);
        return values.length > 0 && values.every(Number.isFinite) && expected[name](values);
      },
      () => `panel ${name} is true: it shows ${values} for ${expression}`,
    );
  }
  for (const { query, name } of dashboard.templating.list) {
    if (name === "datasource") continue;
    const [, series, label] = /^label_values\((.+), (\w+)\)$/.exec(query);
    const found = await prometheus.query(series.replaceAll("$service", ".*"));
    const values = new Set(found.map(({ labels }) => labels[label]));
    assert.equal(values.size, name === "instance" ? MACHINES : 1, name);
    assert.ok(!values.has(undefined), name);
  }
}

/** One above another, which takes what the rules record. */
function federation(below) {
  const job = {
    job_name: "federate",
    honor_labels: true,
    metrics_path: "/federate",
    params: { "match[]": ['{__name__=~"job_service.*:utilization_.*"}', 'up{job="utilization"}'] },
    static_configs: [{ targets: [below.target] }],
    scrape_interval: `${SCRAPE_MS}ms`,
    scrape_timeout: `${SCRAPE_MS}ms`,
  };
  return { scrape_configs: [job] };
}

/** Answers per second of a window that ends now. */
async function rateOf(load) {
  const [before, start] = [load.answers, performance.now()];
  await sleep(WINDOW_MS);
  return ((load.answers - before) * 1000) / (performance.now() - start);
}

describe("examples/fleet", () => {
  it("is what promtool wants", () => {
    for (const args of [
      ["check", "config", "prometheus.yml"],
      ["check", "config", "--agent", "agent.yml"],
      ["check", "rules", "rules.yml"],
      ["test", "rules", "rules_test.yml"],
    ]) {
      const { status, output } = promtool(args, { cwd: FOLDER });
      assert.equal(status, 0, `${args.join(" ")}: ${output}`);
    }
  });

  it("sums over machines, also while workers and supervisors are killed", async (t) => {
    const machines = [];
    for (let count = 0; count < MACHINES; count++) machines.push(await Machine.start(t));
    const jobs = { utilization: { targets: machines.map(({ scene }) => scene.target) } };
    const config = { rule_files: [quickRules(machines[0].scene.folder)] };
    const scraping = await Prometheus.start(t, jobs, { config });
    const receiver = ["--web.enable-remote-write-receiver"];
    const receiving = await Prometheus.start(t, {}, { config, args: receiver });
    const remote_write = [{ url: receiving.writeUrl }];
    await Prometheus.start(t, jobs, { config: { remote_write }, isAgent: true });
    const both = { scraping, receiving };
    for (const prometheus of Object.values(both)) {
      await prometheus.untilValue(`count(utilization_requests_total)`, (n) => n === MACHINES);
      assert.equal(await prometheus.value(TOTAL), 0);
    }
    const start = performance.now();

    const load = Load.start(
      t,
      machines.map(({ port }) => port),
    );
    await sleep(3000);
    const [worker] = await machines[0].workers();
    process.kill(worker, "SIGKILL");
    await sleep(3000);
    const { supervisor } = machines[1];
    const orphans = await machines[1].workers();
    supervisor.child.kill("SIGKILL");
    await supervisor.ended;
    await until(() => !orphans.some(isRunning), "the workers of a killed supervisor have ended");
    await machines[1].supervise();
    await sleep(WINDOW_MS);
    for (const prometheus of Object.values(both)) await checkDashboard(prometheus, load);

    const answers = await load.stop();
    assert.ok(answers > 1000, `only ${answers} requests were answered`);
    await sleep(3 * SCRAPE_MS);
    const seconds = Math.ceil((performance.now() - start) / 1000) + 1;
    const totals = [];
    for (const [name, prometheus] of Object.entries(both)) {
      await prometheus.untilValue(TOTAL, (total) => total >= answers);
      const total = await prometheus.value(TOTAL);
      const of = `utilization_requests_total[${seconds}s]`;
      const resets = await prometheus.value(`sum(resets(${of}))`);
      console.log(`${name}: total ${total}, answers ${answers}, resets ${resets}`);
      assert.ok(total - answers <= MOST_LOST, `${name}: ${total} for ${answers} answers`);
      assert.equal(resets, 0);
      totals.push(total);
    }
    assert.equal(totals[0], totals[1]);

    const federating = await Prometheus.start(t, {}, { config: federation(scraping) });
    const workers = 'job_service:utilization_workers:sum{job="utilization",service="web"}';
    await federating.untilValue(workers, (value) => value === MACHINES * WORKERS);
    const kinds = await federating.query('count by (__name__) ({__name__=~"utilization_.*"})');
    assert.deepEqual(kinds, []);
  });
});
