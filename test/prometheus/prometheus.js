// Debian's Prometheus, with a folder and a port of its own: all of it ends with the test.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const PATIENCE_MS = 30_000;
const PROMETHEUS = process.env.PROMETHEUS ?? "prometheus";
const PROMTOOL = process.env.PROMTOOL ?? "promtool";

/** How often targets are scraped. */
export const SCRAPE_MS = 1000;

export class Prometheus {
  #log = "";
  #url = "";

  constructor(child) {
    child.stderr.setEncoding("utf8").on("data", (text) => {
      this.#log += text;
    });
  }

  /**
   * Starts it, and waits until it serves.
   *
   * @param jobs by name, each `{ targets: ["127.0.0.1:9464"], path: "/metrics", params: {} }`.
   * @param more parts of the configuration, and flags. An agent scrapes and sends, and answers no query.
   * @throws {Error} when it is not installed.
   */
  static async start(test, jobs, { config: parts = {}, args: flags = [], isAgent = false } = {}) {
    const folder = mkdtempSync(join(tmpdir(), "um-prometheus-"));
    const config = join(folder, "prometheus.json");
    writeFileSync(config, JSON.stringify({ ...configOf(jobs), ...parts }));
    const storage = isAgent ? "agent" : "tsdb";
    const args = [`--config.file=${config}`, `--storage.${storage}.path=${join(folder, "data")}`];
    args.push(...(isAgent ? ["--enable-feature=agent"] : []), ...flags);
    const address = "--web.listen-address=127.0.0.1:0";
    const stdio = ["ignore", "ignore", "pipe"];
    const child = spawn(PROMETHEUS, [...args, address], { cwd: folder, stdio });
    const ended = new Promise((resolve) => child.once("close", resolve));
    test.after(async () => {
      child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    });
    let problem = null;
    child.once("error", ({ message }) => {
      problem = `Cannot run "${PROMETHEUS}" (apt-get install prometheus): ${message}`;
    });
    const prometheus = new Prometheus(child);
    await until(async () => {
      if (problem !== null) throw new Error(problem);
      return await prometheus.#findUrl();
    }, `Prometheus serves: ${prometheus.#log}`);
    return prometheus;
  }

  async #findUrl() {
    const port = /Listening on.* address=127\.0\.0\.1:(\d+)/.exec(this.#log)?.[1];
    if (port === undefined) return false;
    this.#url = `http://127.0.0.1:${port}/`;
    return (await fetch(`${this.#url}-/ready`)).ok;
  }

  /** Its address, as a target. */
  get target() {
    return new URL(this.#url).host;
  }

  /** Where others write to, with `--web.enable-remote-write-receiver`. */
  get writeUrl() {
    return `${this.#url}api/v1/write`;
  }

  async #ask(path, parameters = {}) {
    const query = new URLSearchParams(parameters);
    const answer = await (await fetch(`${this.#url}api/v1/${path}?${query}`)).json();
    if (answer.status !== "success") throw new Error(`${path} ${query}: ${answer.error}`);
    return answer.data;
  }

  /** What it scrapes: `{ health: "up", lastError: "", … }`. */
  async targets() {
    return (await this.#ask("targets")).activeTargets;
  }

  /** Waits until every target was scraped, and the last time without an error. */
  async untilUp() {
    let targets = [];
    await until(
      async () => {
        targets = await this.targets();
        return targets.length > 0 && targets.every(({ health }) => health === "up");
      },
      () => `the targets are up: ${targets.map(({ lastError }) => lastError).join("; ")}`,
    );
  }

  /**
   * The labels and the value of each series of an instant query.
   *
   * @param at in seconds since 1970; now by default.
   */
  async query(expression, at) {
    const time = at === undefined ? {} : { time: String(at) };
    const { result } = await this.#ask("query", { query: expression, ...time });
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** The value of a query that gives one. @throws {Error} when it gives none, or several. */
  async value(expression, at) {
    const series = await this.query(expression, at);
    if (series.length === 1) return series[0].value;
    throw new Error(`Got ${series.length} series for ${expression}, not one`);
  }

  /** Waits until a query gives one series with a value that is right. */
  async untilValue(expression, isRight) {
    let series = [];
    await until(
      async () => {
        series = await this.query(expression);
        return series.length === 1 && isRight(series[0].value);
      },
      () => `${expression} is right: ${JSON.stringify(series)}`,
    );
    return series[0].value;
  }
}

function configOf(jobs) {
  const interval = `${SCRAPE_MS}ms`;
  const scrapes = Object.entries(jobs).map(
    ([name, { targets, path = "/metrics", params = {} }]) => ({
      job_name: name,
      metrics_path: path,
      params: Object.fromEntries(Object.entries(params).map(([key, value]) => [key, [value]])),
      static_configs: [{ targets }],
    }),
  );
  const global = {
    scrape_interval: interval,
    scrape_timeout: interval,
    evaluation_interval: interval,
  };
  return { global, scrape_configs: scrapes };
}

/** What `promtool check metrics` says of a text of the format 0.0.4; empty when all is well. */
export function checkMetrics(text) {
  const { status, output } = promtool(["check", "metrics"], { input: text });
  return status === 0 ? output : `exit ${status}: ${output}`;
}

/** Runs promtool to its end. */
export function promtool(args, options = {}) {
  const { error, status, stdout, stderr } = spawnSync(PROMTOOL, args, {
    encoding: "utf8",
    ...options,
  });
  if (error !== undefined) throw error;
  return { status, output: `${stdout}${stderr}` };
}

/** A port that was free a moment ago, for a server that is started again on it. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Waits for what must happen. */
export async function until(condition, what) {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (performance.now() >= deadline) {
      throw new Error(`Waited in vain until ${typeof what === "string" ? what : what()}`);
    }
    await sleep(50);
  }
}
