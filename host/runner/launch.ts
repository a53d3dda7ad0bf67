// How the process of a worker is started.

import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import cluster from "node:cluster";
import { EventEmitter } from "node:events";
import { fileURLToPath } from "node:url";
import { LEAVING_PRELOAD } from "../programs.ts";
import { LEAVE } from "./leaving.ts";

/** A process that was started, or could not be: then its child says so by an event. */
export interface Launched {
  readonly child: ChildProcess;
  /** Whether it leads a process group of its own, which ends with it. */
  readonly isLeader: boolean;
  /** Has it answer what it was asked. True if it will get its SIGTERM from itself then. */
  leave(): boolean;
  /** Calls back when it has begun to listen. */
  onListening(listening: () => void): void;
}

const LEAVING: string = fileURLToPath(LEAVING_PRELOAD);

export type Launch = (number: number) => Launched;

export interface LaunchOptions {
  readonly env: (number: number) => NodeJS.ProcessEnv;
  /** What its standard output and error are. */
  readonly outputs: readonly [stdout: "pipe" | number, stderr: "pipe" | number];
}

/** Starts any command. A session of its own keeps Ctrl-C of our terminal from it: we tell it. */
export function commandLauncher(
  file: string,
  args: readonly string[],
  { env, outputs }: LaunchOptions,
): Launch {
  const stdio: StdioOptions = ["ignore", ...outputs];
  return (number) =>
    started(() => ({
      child: spawn(file, args, { env: env(number), stdio, detached: true }),
      isLeader: true,
      leave: () => false,
      onListening() {},
    }));
}

/**
 * Starts a script with this very Node.js, as a worker of `node:cluster`: its servers share their
 * ports with those of the others.
 *
 * @param script what Node.js is given: options, script, arguments.
 */
export function clusterLauncher(script: readonly string[], options: LaunchOptions): Launch {
  // Each gets an inspector port of its own, where it is known that one is wanted.
  const inspectors = script.findIndex((argument) => !/^--inspect/.test(argument));
  // `fork` puts one after the other, so that we need not know which argument is the script.
  const [exec, ...args] = script.slice(inspectors);
  cluster.setupPrimary({
    exec: exec!,
    args,
    execArgv: ["--require", LEAVING, ...script.slice(0, inspectors)],
    stdio: ["ignore", ...options.outputs, "ipc"],
  });
  return (number) =>
    started(() => {
      const worker = cluster.fork(options.env(number));
      // What could not be sent to a worker that ends.
      worker.on("error", () => {});
      return {
        child: worker.process,
        isLeader: false,
        leave() {
          const isConnected = worker.isConnected();
          if (isConnected) worker.send(LEAVE);
          return isConnected;
        },
        onListening: (listening) => void worker.once("listening", listening),
      };
    });
}

/**
 * Node.js says by an event that a file is missing, and throws when it is being written, or when
 * memory is short. Here both are an event.
 */
function started(start: () => Launched): Launched {
  try {
    return start();
  } catch (error) {
    const child = Object.assign(new EventEmitter(), { pid: undefined, stdout: null, stderr: null });
    process.nextTick(() => child.emit("error", error));
    return {
      child: child as unknown as ChildProcess,
      isLeader: false,
      leave: () => false,
      onListening() {},
    };
  }
}
