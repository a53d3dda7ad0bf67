// A program of examples/deploying, as it is, on the built package.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { get } from "node:http";
import { fileURLToPath } from "node:url";
import { projectFile } from "../data.ts";
import { afterTest, type Test } from "../support/after_test.ts";
import { until } from "../support/until.ts";

/** The path of a file of the examples. */
export function example(name: string): string {
  return fileURLToPath(projectFile(`examples/deploying/${name}`));
}

/** The command line, as users have it. */
export const UTILIZATION: string = fileURLToPath(projectFile("dist/host/cli/main.js"));

const ANSWER_MS = 5000;

/** A process that leads a group of its own, as a service does: nothing of it outlives the test. */
export class Service {
  readonly process: ChildProcess;
  readonly exited: Promise<[number | null, NodeJS.Signals | null]>;
  /** What it has written to both outputs. */
  output = "";

  constructor(test: Test, command: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const [file, ...args] = command;
    const { UTILIZATION_DIR: _dir, UTILIZATION_SUPERVISOR: _supervisor, ...rest } = process.env;
    this.process = spawn(file!, args, {
      detached: true,
      env: { ...rest, NODE_OPTIONS: "", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.exited = once(this.process, "exit") as Service["exited"];
    for (const stream of [this.process.stdout!, this.process.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
      });
    }
    afterTest(test, () => this.killAll());
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** SIGKILL to all that are left of its group, as systemd does it at the end. */
  killAll(): void {
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch {
      // Nobody is left.
    }
  }

  /** Waits for what it must write, and returns what the pattern captures. */
  async says(pattern: RegExp): Promise<string> {
    const found = await until(() => pattern.exec(this.output), String(pattern)).catch((error) => {
      throw new Error(`${error.message}: ${this.output}`);
    });
    return found[1] ?? found[0];
  }
}

/** The body of an answer, on a connection of its own. */
export function fetchBody(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => resolve(body)).on("error", reject);
    });
    request.on("error", reject);
    // A connection that was handed to a worker in the moment of its death is never answered.
    request.setTimeout(ANSWER_MS, () => request.destroy(new Error(`no answer from ${url}`)));
  });
}

/** Waits until a line of the metrics is so. */
export async function untilMetric(url: string, line: string): Promise<void> {
  let text = "";
  try {
    await until(async () => {
      text = await fetchBody(new URL("/metrics", url).href).catch(String);
      return text.split("\n").includes(line);
    }, line);
  } catch {
    throw new Error(`Waited in vain for "${line}" in: ${text}`);
  }
}
