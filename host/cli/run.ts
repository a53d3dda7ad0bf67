// Copies of any command, and a supervisor in this process that sees them.

import { existsSync, rmdirSync } from "node:fs";
import { resolve } from "node:path";
import type { WriteStream } from "node:tty";
import { defaultDirectory } from "../directory.ts";
import type { HttpServer } from "../http/server.ts";
import { stderrLogger } from "../log.ts";
import { AUTO_PRELOAD } from "../programs.ts";
import { CommandError, withRequire } from "../runner/command.ts";
import { LastWill } from "../runner/last_will.ts";
import { clusterLauncher, commandLauncher, type LaunchOptions } from "../runner/launch.ts";
import { Output } from "../runner/output.ts";
import { Pool } from "../runner/pool.ts";
import { WorkerProcess } from "../runner/worker_process.ts";
import { Supervisor } from "../supervisor.ts";
import { printable, UsageError, withOptions } from "./arguments.ts";
import { RUN_HELP } from "./help.ts";
import { type HttpOptions, httpOptions, serveHttp } from "./http.ts";
import { isReaderGone, leaveUnread, printLine } from "./output.ts";
import { type PlaceOptions, placeToSupervise } from "./place.ts";
import { RunMonitor, type RunMonitorOptions } from "./run_monitor.ts";
import { parseRun, RUN_OPTIONS, type RunSettings } from "./run_options.ts";
import { obeySignals } from "./run_signals.ts";

const PORT_HINT =
  "Only one process can have a port: with --cluster, workers of Node.js share it; others may take one each, by $UTILIZATION_WORKER";

/** Runs workers until they have ended, or it is stopped. */
export function run(args: readonly string[]): Promise<number> {
  const end = args.indexOf("--");
  const [options, words] = end === -1 ? [args, []] : [args.slice(0, end), args.slice(end + 1)];
  return withOptions("run", options, RUN_HELP, RUN_OPTIONS, async (values) => {
    try {
      const settings = parseRun(values, words);
      const http = await httpOptions(values);
      return await runIn(settings.place, (place) => runWorkers(settings, place, http));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      console.error(`utilization: ${printable(error.message)}`);
      return error.exitCode;
    }
  });
}

/** Makes the folder where there is none, and removes it again. */
async function runIn(
  options: PlaceOptions,
  action: (place: { socket: string; file: string }) => Promise<number>,
): Promise<number> {
  const folder = resolve(options.dir ?? defaultDirectory());
  const isNew = options.socket === undefined && !existsSync(folder);
  const place = placeToSupervise(options);
  try {
    return await action(place);
  } finally {
    if (isNew) removeEmpty(folder);
  }
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Others use it by now.
  }
}

async function runWorkers(
  settings: RunSettings,
  { socket, file }: { socket: string; file: string },
  options: HttpOptions,
): Promise<number> {
  const { sharing, isJson, isKept, graceMs } = settings;
  const monitor = makeMonitor({ ...sharing, path: file, isJson, isKept });

  let pool: Pool | null = null;
  let wasStopped = false;
  let requestStop: () => void = () => {};
  const stopRequested = new Promise<null>((resolve) => {
    requestStop = () => {
      wasStopped = true;
      resolve(null);
    };
  });
  const hurriedCode = obeySignals({
    stop: requestStop,
    kill: () => pool?.kill(),
    roll() {
      pool?.roll().catch((error: Error) => {
        stderrLogger.error(`Cannot replace the workers: ${error.message}`);
      });
    },
    forward: (name) => pool?.signal(name),
  });
  let outputError: Error | null = null;
  process.stdout.on("error", (error) => {
    if (!isReaderGone(error)) outputError ??= error;
    requestStop();
  });

  const { mode, groupId } = sharing;
  const supervisor = await Supervisor.listen({ socket, monitors: [monitor], mode, groupId });
  const will = new LastWill(graceMs);
  let http: HttpServer | null = null;
  try {
    stderrLogger.info(`Listening on "${supervisor.socket}"`);
    http = await serveHttp(options, supervisor, [monitor], () => ({
      [settings.name]: pool?.restarts ?? 0,
    }));
    const loop = monitor.run();
    const workers = new Pool({
      ...settings,
      name: printable(settings.name),
      count: settings.workers,
      start: starter(settings, supervisor),
      log: stderrLogger,
      portHint: settings.script === null ? PORT_HINT : undefined,
      onChange: () => will.update(workers.targets),
    });
    pool = workers;
    monitor.onRegister = (processId) => workers.registered(processId);
    workers.start();
    const code = await Promise.race([workers.finished, stopRequested]);
    const wereInTime = await workers.stop();
    loop.stop();
    if (isJson && outputError === null) printLine(monitor);
    if (outputError !== null) throw outputError;
    return hurriedCode() ?? code ?? (wereInTime ? 0 : 1);
  } finally {
    await pool?.stop();
    await will.close();
    await http?.close();
    await supervisor.close();
    if (wasStopped) leaveUnread();
  }
}

function makeMonitor(options: RunMonitorOptions): RunMonitor {
  try {
    return new RunMonitor(options);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

/** How a worker is started, and where its words go. */
function starter(
  { command, script, isAutomatic, name, workers, graceMs, isRaw, isJson }: RunSettings,
  supervisor: Supervisor,
): (number: number) => WorkerProcess {
  const { NODE_OPTIONS } = process.env;
  const options: LaunchOptions = {
    env: (number) => ({
      ...process.env,
      ...supervisor.env,
      UTILIZATION_NAME: name,
      UTILIZATION_WORKER: String(number),
      ...(isAutomatic && { NODE_OPTIONS: withRequire(NODE_OPTIONS, AUTO_PRELOAD) }),
    }),
    outputs: isRaw ? [isJson ? 2 : 1, 2] : ["pipe", "pipe"],
  };
  const launch =
    script === null
      ? commandLauncher(command.file, command.args, options)
      : clusterLauncher(script, options);

  const label = printable(name);
  const width = `${label}.${workers}`.length;
  const errors = new Output({
    target: process.stderr,
    width,
    isColoured: hasColours(process.stderr),
  });
  // Where values are printed there is nothing else.
  const words = isJson
    ? errors
    : new Output({ target: process.stdout, width, isColoured: hasColours(process.stdout) });
  return (number) => {
    const worker = new WorkerProcess(number, launch(number), graceMs);
    const { stdout, stderr } = worker.child;
    if (stdout !== null) words.attach(stdout, `${label}.${number}`, number);
    if (stderr !== null) {
      errors.attach(stderr, `${label}.${number}`, number, (lines) => {
        if (/EADDRINUSE|address already in use/i.test(lines.toString("latin1")))
          worker.missedPort = true;
      });
    }
    return worker;
  };
}

function hasColours(stream: WriteStream): boolean {
  return stream.isTTY && stream.hasColors();
}
