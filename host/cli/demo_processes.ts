// The processes of the demo: servers, and whoever keeps them busy.

import { type ChildProcess, fork } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Logger } from "../log.ts";
import { DEMO_LOAD, DEMO_WORKER } from "../programs.ts";
import type { FromWorker, ToLoad, ToWorker } from "./demo_messages.ts";

/** A process that ends is replaced after this time. */
const REPLACE_MS = 1000;

interface Server {
  readonly service: string;
  readonly child: ChildProcess;
  port: number | null;
}

export interface DemoProcessesOptions {
  /** The service of each server. */
  readonly services: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
}

/** Starts them, replaces those that end, and ends them. */
export class DemoProcesses {
  readonly #options: DemoProcessesOptions;
  readonly #servers: Set<Server> = new Set();
  readonly #children: Set<ChildProcess> = new Set();
  readonly #timers: Set<ReturnType<typeof setTimeout>> = new Set();
  #load: ChildProcess | null = null;
  #stopping = false;

  constructor(options: DemoProcessesOptions) {
    this.#options = options;
  }

  /** Starts all. Resolves when every server listens. @throws {Error} when one ends before that. */
  async start(): Promise<void> {
    await Promise.all(this.#options.services.map((service) => this.#startServer(service)));
    this.#startLoad();
  }

  /** Sends the last server into an endless loop. */
  block(): void {
    const message: ToWorker = { type: "block" };
    [...this.#servers].at(-1)?.child.send(message, () => {});
  }

  /** Ends all, also those that could not notice anything. Resolves when they are gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const timer of this.#timers) clearTimeout(timer);
    const ends = [...this.#children].map((child) => new Promise((end) => this.#onEnd(child, end)));
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(ends);
  }

  #startServer(service: string): Promise<void> {
    const { log } = this.#options;
    const child = this.#fork(DEMO_WORKER, service);
    const server: Server = { service, child, port: null };
    this.#servers.add(server);
    return new Promise((resolve, reject) => {
      child.on("message", (message: FromWorker) => {
        if (message.type === "listening") {
          server.port = message.port;
          log.info(`Started ${service} server, pid ${child.pid}, http://127.0.0.1:${message.port}`);
          this.#direct();
          resolve();
        } else {
          log.info(`Server of ${service}, pid ${child.pid}, goes into an endless loop`);
        }
      });
      this.#onEnd(child, (how) => {
        this.#servers.delete(server);
        if (this.#stopping) return;
        const end = `Server of ${service}, pid ${child.pid}, ended (${how})`;
        if (server.port === null) {
          reject(new Error(end));
          return;
        }
        log.warn(`${end}, starting another`);
        this.#direct();
        this.#replace(() => {
          this.#startServer(service).catch((error: Error) => log.error(error.message));
        });
      });
    });
  }

  #startLoad(): void {
    const child = this.#fork(DEMO_LOAD);
    this.#load = child;
    this.#options.log.info(`Started load generator, pid ${child.pid}`);
    this.#direct();
    this.#onEnd(child, () => {
      this.#load = null;
      this.#replace(() => this.#startLoad());
    });
  }

  /** Tells the load generator where the servers are. */
  #direct(): void {
    const ports: number[] = [];
    for (const { port } of this.#servers) if (port !== null) ports.push(port);
    const message: ToLoad = { type: "targets", ports };
    this.#load?.send(message, () => {});
  }

  /** Calls back when a process has ended, or could not be started. */
  #onEnd(child: ChildProcess, end: (how: string) => void): void {
    child.once("exit", (code, signal) => end(signal ?? `code ${code}`));
    child.once("error", (error) => child.pid === undefined && end(error.message));
  }

  #replace(start: () => void): void {
    if (this.#stopping) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      start();
    }, REPLACE_MS);
    this.#timers.add(timer);
  }

  /** They end with the channel to this process. */
  #fork(file: URL, ...args: string[]): ChildProcess {
    const { env, log } = this.#options;
    const child = fork(fileURLToPath(file), [...args, String(process.pid)], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#children.add(child);
    this.#onEnd(child, () => this.#children.delete(child));
    if (child.stderr !== null) {
      const lines = createInterface({ input: child.stderr });
      lines.on("line", (line) => log.warn(`pid ${child.pid}: ${line}`));
    }
    return child;
  }
}
