// Shows what this is good for: real servers under load, read without asking them.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathsIn } from "../directory.ts";
import { Supervisor } from "../supervisor.ts";
import { UtilizationMonitor, type UtilizationMonitorOptions } from "../utilization_monitor.ts";
import { parseCount, parseDuration, withOptions } from "./arguments.ts";
import { DemoProcesses } from "./demo_processes.ts";
import { type DemoView, LineView, TableView } from "./demo_view.ts";
import { DEMO_HELP } from "./help.ts";
import { stopped, stopSignal } from "./stop.ts";

const OPTIONS = {
  workers: { type: "string" },
  interval: { type: "string" },
  duration: { type: "string" },
  block: { type: "boolean" },
  json: { type: "boolean" },
} as const;

const MOST_WORKERS = 256;
/** How long all workers may take to register. */
const START_MS = 60_000;
/** When `--block` blocks, so that people see the server at work before. */
const BLOCK_MS = 3000;

const PREFIX = "utilization-demo-";

/** Shows every sample. */
class DemoMonitor extends UtilizationMonitor {
  readonly #view: DemoView;

  constructor(options: UtilizationMonitorOptions, view: DemoView) {
    super(options);
    this.#view = view;
  }

  override emit(): void {
    this.#view.update();
  }
}

/** Runs until it is stopped, or its duration is over. */
export function demo(args: readonly string[]): Promise<number> {
  return withOptions("demo", args, DEMO_HELP, OPTIONS, async (values) => {
    const workers = parseCount("workers", values.workers ?? "4", MOST_WORKERS);
    const interval = parseDuration("interval", values.interval ?? "1s") / 1000;
    const { duration } = values;
    const durationMs = duration === undefined ? null : parseDuration("duration", duration);
    const { block = false, json = false } = values;

    const isLive = !json && process.stdout.isTTY && process.env.TERM !== "dumb";
    const view = isLive ? new TableView(process.stdout, process.stderr.isTTY) : new LineView();
    const folder = makeFolder();
    try {
      await run({ view, folder, workers, interval, durationMs, block });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return 0;
  });
}

interface Demo {
  readonly view: DemoView;
  readonly folder: string;
  readonly workers: number;
  readonly interval: number;
  readonly durationMs: number | null;
  readonly block: boolean;
}

async function run(options: Demo): Promise<void> {
  const { view, folder, workers, interval, durationMs, block } = options;
  const { log } = view;
  const stop = stopSignal();
  const { socket, file } = pathsIn(folder, "default");
  const monitor = new DemoMonitor({ path: file, interval, log }, view);
  const supervisor = await Supervisor.listen({ socket, monitors: [monitor], log });
  log.info(`Listening on "${supervisor.socket}"`);
  const services = Array.from({ length: workers }, (_, index) => (index % 2 === 0 ? "web" : "api"));
  const processes = new DemoProcesses({ services, env: supervisor.env, log });
  let blockTimer: ReturnType<typeof setTimeout> | undefined;
  try {
    await Promise.race([allRegistered(processes, monitor, workers, stop), stopped(stop)]);
    if (stop.aborted) return;
    view.open({ monitor, socket: supervisor.socket });
    const loop = monitor.run({ signal: stop });
    if (block) {
      const blockMs = Math.min(BLOCK_MS, (durationMs ?? Number.POSITIVE_INFINITY) / 4);
      blockTimer = setTimeout(() => processes.block(), blockMs);
    }
    await stopped(stop, durationMs);
    loop.stop();
    view.update();
  } finally {
    clearTimeout(blockTimer);
    view.close();
    await processes.stop();
    await supervisor.close();
  }
}

async function allRegistered(
  processes: DemoProcesses,
  monitor: UtilizationMonitor,
  count: number,
  stop: AbortSignal,
): Promise<void> {
  await processes.start();
  const deadline = performance.now() + START_MS;
  while (!stop.aborted) {
    const registered = monitor.sampleByWorker().length;
    if (registered >= count) return;
    if (performance.now() > deadline) {
      throw new Error(
        `Cannot start: ${registered} of ${count} servers registered in ${START_MS} ms`,
      );
    }
    await sleep(20);
  }
}

/** In memory where there is such a folder. */
function makeFolder(): string {
  const { XDG_RUNTIME_DIR } = process.env;
  for (const folder of [XDG_RUNTIME_DIR, "/dev/shm"]) {
    if (!folder) continue;
    try {
      return mkdtempSync(join(folder, PREFIX));
    } catch {
      // Sessions leave the variable behind when the folder is gone; not every system has the other.
    }
  }
  return mkdtempSync(join(tmpdir(), PREFIX));
}
