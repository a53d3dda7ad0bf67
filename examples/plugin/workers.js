// A supervisor, and the worker processes that it watches.

import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Supervisor } from "../../dist/host/index.js";
import { FileDescriber } from "../hosts/chromium/file_describer.js";

export const WORKERS = 2;
const PATIENCE_MS = 10_000;

/**
 * Starts the workers, and resolves when all of them are registered.
 *
 * @param {(end: () => unknown) => void} atEnd takes what ends them, to be called last one first.
 */
export async function startWorkers(atEnd) {
  const folder = mkdtempSync(join(tmpdir(), "um-plugin-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const log = { debug() {}, info() {}, warn() {}, error: console.error };
  const monitor = new FileDescriber({ path: join(folder, "app.shm"), log });
  const socket = join(folder, "app.ipc");
  const supervisor = await Supervisor.listen({ socket, monitors: [monitor], log });
  atEnd(() => supervisor.close());
  const upstream = fileURLToPath(new URL("upstream.js", import.meta.url));
  const env = { ...process.env, ...supervisor.env };
  const children = Array.from({ length: WORKERS }, () => fork(upstream, { stdio: "ignore", env }));
  for (const child of children) {
    atEnd(async () => {
      const ended = once(child, "exit");
      if (child.kill("SIGKILL")) await ended;
    });
  }
  const ports = await Promise.all(children.map(portOf));
  await until(() => monitor.sample().web?.worker_count === WORKERS, "all workers are registered");
  return {
    monitor,
    ports,
    /** Lets the workers answer the requests that they hold. */
    release() {
      for (const child of children) child.send("release");
    },
  };
}

/** The port that a worker listens on, once it does. */
async function portOf(child) {
  const ended = once(child, "exit").then(([code, signal]) => {
    throw new Error(`A worker ended with ${signal ?? code} before it listened`);
  });
  const [{ port }] = await Promise.race([once(child, "message"), ended]);
  // It ends in the end.
  ended.catch(() => {});
  return port;
}

export async function until(condition, what) {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Waited in vain until ${what}`);
    await setTimeout(25);
  }
}
