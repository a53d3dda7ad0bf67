// One process of a worker, from its start until nothing is left of it.

import type { ChildProcess } from "node:child_process";
import { clearTimeout, setTimeout } from "node:timers";
import { setTimeout as sleep } from "node:timers/promises";
import { isGroupRunning, isOfFamily, signal } from "./family.ts";
import type { Launched } from "./launch.ts";

/** How soon a group is looked at again whose leader has ended: ever later, for it reads all of /proc. */
const FIRST_LOOK_MS = 20;
const LONGEST_LOOK_MS = 500;
/** What was written may still be in a pipe that others hold open: how long nothing has come of it. */
const LAST_WORDS_MS = 1000;

/** How it ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not be started. */
  readonly error: NodeJS.ErrnoException | null;
  readonly livedMs: number;
}

/** In words. */
export function describeEnding({ code, signal, error }: Ending): string {
  if (error !== null) return `could not be started: ${error.message}`;
  return signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
}

export class WorkerProcess {
  readonly number: number;
  readonly child: ChildProcess;
  /** Its own end; what it has started may live on for a moment. */
  readonly ended: Promise<Ending>;
  /** Nothing is left of it. */
  readonly gone: Promise<void>;
  readonly startedAt: number = performance.now();
  /** What a replacement has to reach as well. */
  registered = false;
  listening = false;
  /** Whether it was found to need a port that another one has. */
  missedPort = false;
  ending: Ending | null = null;
  /** It did not end in time. */
  wasKilled = false;
  /** Is called when something of the above has changed. */
  onChange: () => void = () => {};
  readonly #launched: Launched;
  readonly #graceMs: number;
  #stopping: Promise<void> | null = null;
  #isGone = false;
  /** No process is left; words of it may be. */
  #isSwept = false;
  #isHurried = false;

  /** @param graceMs between the SIGTERM and the SIGKILL that end it. */
  constructor(number: number, launched: Launched, graceMs: number) {
    this.number = number;
    this.#launched = launched;
    this.#graceMs = graceMs;
    this.child = launched.child;
    launched.onListening(() => {
      this.listening = true;
      this.onChange();
    });
    const closed = new Promise<void>((resolve) => this.child.once("close", () => resolve()));
    this.ended = new Promise((resolve) => {
      const end = (rest: Partial<Ending>): void => {
        const livedMs = performance.now() - this.startedAt;
        this.ending ??= { code: null, signal: null, error: null, livedMs, ...rest };
        resolve(this.ending);
        this.onChange();
      };
      this.child.once("exit", (code, signal) => end({ code, signal }));
      this.child.on("error", (error) => this.child.pid === undefined && end({ error }));
    });
    this.gone = this.ended.then(({ error }) => (error === null ? this.#sweep(closed) : undefined));
    this.gone.then(() => {
      this.#isGone = true;
    });
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** What a signal for all of it goes to. */
  get target(): number | null {
    const { pid } = this;
    if (pid === undefined || this.#isSwept) return null;
    if (this.#launched.isLeader) return -pid;
    // Its number may be another's by now.
    return this.ending === null ? pid : null;
  }

  /** Whether a process is this one, or was started by it. */
  includes(processId: number): boolean {
    return this.pid !== undefined && isOfFamily(processId, this.pid);
  }

  /** Passes on a signal. */
  signal(name: NodeJS.Signals): void {
    if (this.ending === null && this.pid !== undefined) signal(this.pid, name);
  }

  /** Ends it: by SIGTERM, and by SIGKILL when that has not helped in time. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    if (this.#isGone) return;
    const timer = setTimeout(() => {
      if (this.#isSwept) return;
      this.wasKilled = true;
      this.kill();
    }, this.#graceMs);
    const leavesByItself = this.#launched.leave();
    const term = setTimeout(() => this.signal("SIGTERM"), leavesByItself ? this.#graceMs / 2 : 0);
    // One that was stopped would not notice.
    this.signal("SIGCONT");
    await this.gone;
    clearTimeout(timer);
    clearTimeout(term);
  }

  /** Ends all of it at once. */
  kill(): void {
    this.#isHurried = true;
    if (this.target !== null) signal(this.target, "SIGKILL");
  }

  /** Ends what a command has left in its group, and waits for its last words. */
  async #sweep(closed: Promise<void>): Promise<void> {
    const { target } = this;
    if (target !== null && signal(target, "SIGTERM")) {
      signal(target, "SIGCONT");
      const deadline = performance.now() + this.#graceMs;
      let pauseMs = FIRST_LOOK_MS;
      while (isGroupRunning(-target)) {
        const leftMs = deadline - performance.now();
        if (leftMs <= 0) signal(target, "SIGKILL");
        await sleep(Math.min(pauseMs, Math.max(leftMs, FIRST_LOOK_MS)));
        pauseMs = Math.min(pauseMs * 2, LONGEST_LOOK_MS);
      }
    }
    this.#isSwept = true;
    await this.#lastWords(closed);
    this.child.stdout?.destroy();
    this.child.stderr?.destroy();
  }

  #lastWords(closed: Promise<void>): Promise<void> {
    const outputs = [this.child.stdout, this.child.stderr];
    return new Promise((resolve) => {
      let lastAt = performance.now();
      const timer = setTimeout(() => {
        // They come no faster than they are read.
        const isReaderBehind = outputs.some((output) => output?.isPaused());
        const isInTime = performance.now() - lastAt < this.#graceMs / 2;
        if (isReaderBehind && isInTime && !this.#isHurried) timer.refresh();
        else resolve();
      }, LAST_WORDS_MS);
      for (const output of outputs) {
        output?.on("data", () => {
          lastAt = performance.now();
          timer.refresh();
        });
      }
      closed.then(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
