// A supervisor with its HTTP server, workers, and a browser: all of it ends with the test.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const PATIENCE_MS = 30_000;
const MAIN = fileURLToPath(new URL("../../dist/host/cli/main.js", import.meta.url));
const WORKER = fileURLToPath(new URL("worker.js", import.meta.url));
const DRIVER = new URL("../tools/node_modules/playwright-core/index.mjs", import.meta.url);
const BROWSER = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A browser with a fresh profile. @throws {Error} when something is not installed. */
export async function openBrowser() {
  if (!existsSync(BROWSER)) throw new Error(`${BROWSER} is missing: apt-get install chromium`);
  if (!existsSync(DRIVER)) throw new Error('Run "npm ci --prefix test/tools"');
  const { chromium } = await import(DRIVER);
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return await chromium.launch({ executablePath: BROWSER, args: [...FLAGS, ...sandbox] });
}

export class Scene {
  folder = mkdtempSync(join(tmpdir(), "um-browser-"));
  #children = new Set();
  url = "";
  /** More of them for the supervisor. */
  options = [];
  supervisor = null;

  constructor(test) {
    test.after(async () => {
      const ends = [...this.#children].map((child) => once(child, "exit"));
      for (const child of this.#children) child.kill("SIGKILL");
      await Promise.all(ends);
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  /** Starts a supervisor on a port, by default a free one, and waits until it serves. */
  async supervise(address = "127.0.0.1:0") {
    const args = [
      "supervise",
      "--dir",
      this.folder,
      "--http",
      address,
      "--interval",
      "1h",
      ...this.options,
    ];
    const child = this.#start(MAIN, args);
    this.supervisor = child;
    let log = "";
    child.stdout.resume();
    child.stderr.setEncoding("utf8").on("data", (text) => {
      log += text;
    });
    const find = () => /Serving (http:\S+)/.exec(log)?.[1];
    this.url = await until(find, () => `the supervisor serves: ${log}`);
  }

  /** Starts a process with workers. */
  async work(service, count, seed, mode = "still") {
    const child = this.#start(WORKER, [service, count, seed, mode].map(String));
    child.stdout.resume();
    child.stderr.resume();
    const isOurs = ({ processId }) => processId === child.pid;
    await until(
      async () => (await this.workers()).filter(isOurs).length >= count,
      () => `${count} workers of ${service} are registered`,
    );
    return child;
  }

  #start(file, args) {
    const env = { ...process.env, UTILIZATION_SUPERVISOR: join(this.folder, "default.ipc") };
    const child = spawn(process.execPath, [file, ...args], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  /** Each worker that the supervisor knows; none while it does not answer. */
  async workers() {
    try {
      const [{ workers }] = await (await fetch(`${this.url}status?workers`)).json();
      return workers;
    } catch {
      return [];
    }
  }
}

/** Waits for a condition, and returns what it found. */
export async function until(condition, what) {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`Waited in vain until ${what()}`);
    await sleep(50);
  }
}
