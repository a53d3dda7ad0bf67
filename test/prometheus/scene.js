// Processes of the command line and of workers, in a folder of their own: all end with the test.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, until } from "./prometheus.js";

const MAIN = fileURLToPath(new URL("../../dist/host/cli/main.js", import.meta.url));

/** The path of a file beside this one. */
export function pathOf(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}

export class Scene {
  folder = mkdtempSync(join(tmpdir(), "um-metrics-"));
  /** Where the supervisor serves metrics, whichever process it is. */
  port = 0;
  #children = [];

  constructor(test) {
    test.after(async () => {
      for (const { child } of this.#children) child.kill("SIGKILL");
      await Promise.all(this.#children.map(({ ended }) => ended));
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  static async make(test) {
    const scene = new Scene(test);
    scene.port = await freePort();
    return scene;
  }

  get socket() {
    return join(this.folder, "default.ipc");
  }

  get target() {
    return `127.0.0.1:${this.port}`;
  }

  /** Starts a process of Node.js. */
  start(file, args, env = {}) {
    const child = spawn(process.execPath, [file, ...args.map(String)], {
      env: { ...process.env, NODE_OPTIONS: "", ...env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const process_ = { child, log: "", ended: new Promise((end) => child.once("close", end)) };
    child.stderr.setEncoding("utf8").on("data", (text) => {
      process_.log += text;
    });
    this.#children.push(process_);
    return process_;
  }

  /** Starts a command that supervises, and waits until it serves metrics. */
  async supervise(command, args = [], words = []) {
    const place = ["--dir", this.folder, "--http", this.target, "--interval", "1h"];
    const rest = words.length === 0 ? [] : ["--", ...words];
    const started = this.start(MAIN, [command, ...place, ...args, ...rest]);
    await until(
      () => started.log.includes("Serving http:"),
      () => `the supervisor serves: ${started.log}`,
    );
    return started;
  }

  /** The metrics as text, of the format 0.0.4 unless another is wanted. */
  metrics({ path = "/metrics", accept = "text/plain", port = this.port } = {}) {
    return new Promise((resolve, reject) => {
      get({ host: "127.0.0.1", port, path, headers: { accept } }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part) => {
          text += part;
        });
        response.on("error", reject).on("end", () => resolve({ text, response }));
      }).on("error", reject);
    });
  }

  /** Waits until so many workers of a service live. */
  async untilWorkers(service, count) {
    const line = `utilization_workers{service="${service}"} ${count}\n`;
    await until(
      async () => (await this.metrics()).text.includes(line),
      `${count} workers of ${service} live`,
    );
  }
}
