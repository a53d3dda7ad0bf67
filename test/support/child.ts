import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Runtime } from "./runtime.ts";
import { until } from "./until.ts";

/** Fixtures are TypeScript where the tests are, and JavaScript where they were compiled. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf("."));

/** The path of a fixture, by its name without extension. */
export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}${EXTENSION}`, import.meta.url));
}

interface Answer {
  readonly serial: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** A fixture process that does what it is told by messages, and whose log is collected. */
export class Child {
  /** What it has written to standard error, by line. */
  readonly log: string[] = [];
  readonly exited: Promise<unknown>;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #serial = 0;

  constructor(
    fixture: string,
    environment: Readonly<Record<string, string>> = {},
    runtime?: Runtime,
  ) {
    const path = runtime === undefined ? fixturePath(fixture) : runtime.fixturePath(fixture);
    this.#process = fork(path, [], {
      stdio: ["ignore", "inherit", "pipe", "ipc"],
      env: { ...process.env, ...environment },
      ...runtime?.options,
    });
    this.exited = once(this.#process, "exit");
    collectLines(this.#process, this.log);
    this.#process.on("message", (answer: Answer) => this.#waiting.get(answer.serial)?.(answer));
  }

  get pid(): number {
    return this.#process.pid!;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Tells it to do something, and returns what it answers. */
  async ask<Result>(action: string, argument: object = {}): Promise<Result> {
    const serial = ++this.#serial;
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(serial, resolve);
      void this.exited.then(() => reject(new Error(`"${action}": the process has ended`)));
      this.#process.send({ serial, action, argument }, (error) => error && reject(error));
    });
    this.#waiting.delete(serial);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.result as Result;
  }

  /** The lines of its log that contain `text`. */
  logged(text: string): string[] {
    return this.log.filter((line) => line.includes(text));
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Stops it, and waits until it runs no more. */
  async stop(): Promise<void> {
    this.signal("SIGSTOP");
    await until(() => stateOf(this.pid) === "T", `process ${this.pid} is stopped`);
  }

  wake(): void {
    this.signal("SIGCONT");
  }

  /** Kills it, whatever it is doing, and waits until it is gone. */
  async kill(): Promise<void> {
    if (this.running) this.#process.kill("SIGKILL");
    await this.exited;
  }
}

/** Collects what a process writes to standard error. */
export function collectLines(child: ChildProcess, lines: string[]): void {
  let rest = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    lines.push(...parts);
  });
}

function stateOf(pid: number): string | undefined {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[0];
}
