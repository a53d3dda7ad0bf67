// The workers of a service: started, started again, replaced, ended.

import { clearTimeout, setTimeout } from "node:timers";
import type { Logger } from "../log.ts";
import { Backoff, type BackoffOptions } from "./backoff.ts";
import { readyFor } from "./readiness.ts";
import { describeEnding, type Ending, type WorkerProcess } from "./worker_process.ts";

/** Which workers that have ended by themselves are started again. */
export type Restart = "always" | "on-failure" | "never";

export interface PoolOptions {
  readonly name: string;
  readonly count: number;
  readonly start: (number: number) => WorkerProcess;
  readonly restart: Restart;
  readonly log: Logger;
  readonly backoff?: BackoffOptions | undefined;
  /** How long a replacement lives before it is trusted; 1000 by default. */
  readonly settleMs?: number | undefined;
  /** How long a replacement may take to come as far as the one before it; 60 000 by default. */
  readonly startMs?: number | undefined;
  /** What is said when workers fail because another one has their port. */
  readonly portHint?: string | undefined;
  /** Is called when processes have come or gone. */
  readonly onChange?: (() => void) | undefined;
}

/** A place for one worker, whichever process has it. */
interface Place {
  readonly number: number;
  readonly backoff: Backoff;
  current: WorkerProcess | null;
  /** Until the next start. */
  timer: ReturnType<typeof setTimeout> | null;
  /** Its code when it has ended, and is not started again. */
  finished: number | null;
  /** A replacement is being tried. */
  isReplacing: boolean;
}

export class Pool {
  /**
   * Resolves when all have ended by themselves, and none is started again: with their code if it
   * was the same, else with 1; with 127 or 126 when the command could not be started at all.
   */
  readonly finished: Promise<number>;
  readonly #finish: (code: number) => void;
  readonly #options: PoolOptions;
  readonly #places: readonly Place[];
  /** All of which something is left, replacements and those they replace among them. */
  readonly #processes: Set<WorkerProcess> = new Set();
  #isStopping = false;
  #rolling: Promise<void> | null = null;
  #rollAgain = false;
  #saidHint = false;
  #restarts = 0;
  /** Whether the command could be started once. */
  #hasStarted = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    let finish: (code: number) => void = () => {};
    this.finished = new Promise((resolve) => {
      finish = resolve;
    });
    this.#finish = finish;
    this.#places = Array.from({ length: options.count }, (_, index) => ({
      number: index + 1,
      backoff: new Backoff(options.backoff),
      current: null,
      timer: null,
      finished: null,
      isReplacing: false,
    }));
  }

  /** What signals for all processes go to. */
  get targets(): number[] {
    return [...this.#processes].flatMap(({ target }) => target ?? []);
  }

  /** How often a worker that had ended by itself was started again. */
  get restarts(): number {
    return this.#restarts;
  }

  start(): void {
    for (const place of this.#places) this.#fill(place);
  }

  /** A process has registered with the supervisor. */
  registered(processId: number): void {
    for (const worker of this.#processes) {
      if (worker.registered || worker.ending !== null || !worker.includes(processId)) continue;
      worker.registered = true;
      worker.onChange();
      return;
    }
  }

  /** Passes a signal on to all. */
  signal(name: NodeJS.Signals): void {
    for (const worker of this.#processes) worker.signal(name);
  }

  #label({ number }: { readonly number: number }, pid?: number): string {
    const label = `${this.#options.name}.${number}`;
    return pid === undefined ? label : `${label}, pid ${pid}`;
  }

  #fill(place: Place): void {
    const worker = this.#launch(place.number);
    this.#adopt(place, worker);
  }

  #launch(number: number): WorkerProcess {
    const worker = this.#options.start(number);
    this.#processes.add(worker);
    if (worker.pid !== undefined) this.#hasStarted = true;
    const changed = (): void => this.#options.onChange?.();
    worker.ended.then(changed);
    worker.gone.then(() => {
      this.#processes.delete(worker);
      changed();
    });
    changed();
    return worker;
  }

  #adopt(place: Place, worker: WorkerProcess): void {
    place.current = worker;
    worker.ended.then((ending) => {
      if (place.current === worker) this.#ended(place, worker, ending);
    });
  }

  #ended(place: Place, worker: WorkerProcess, ending: Ending): void {
    place.current = null;
    if (this.#isStopping) return;
    const { log, restart } = this.#options;
    const { code, error, livedMs } = ending;
    if (error !== null && !this.#hasStarted) {
      log.error(`Cannot run the command: ${error.message}`);
      this.#finish(error.code === "ENOENT" ? 127 : 126);
      return;
    }
    const text = `${this.#label(worker, worker.pid)}, ${describeEnding(ending)} after ${seconds(livedMs)}`;
    if (restart === "never" || (restart === "on-failure" && code === 0)) {
      place.finished = code ?? 1;
      log.info(text);
      this.#finishIfDone();
      return;
    }
    // The replacement that is tried already takes its place.
    if (place.isReplacing) {
      log.warn(text);
      return;
    }
    this.#startLater(place, livedMs, text);
    this.#hint(worker);
  }

  #startLater(place: Place, livedMs: number, text: string): void {
    const delayMs = place.backoff.next(livedMs);
    this.#options.log.warn(`${text}: starting again in ${seconds(delayMs)}`);
    place.timer = setTimeout(() => {
      place.timer = null;
      this.#restarts++;
      this.#fill(place);
    }, delayMs);
  }

  #hint({ missedPort }: WorkerProcess): void {
    const { portHint, log } = this.#options;
    if (!missedPort || this.#saidHint || portHint === undefined) return;
    this.#saidHint = true;
    log.warn(portHint);
  }

  #finishIfDone(): void {
    // The replacement that is tried may go on.
    if (this.#places.some(({ isReplacing }) => isReplacing)) return;
    const codes = new Set(this.#places.map(({ finished }) => finished));
    if (codes.has(null)) return;
    const [code] = codes;
    this.#finish(codes.size === 1 ? code! : 1);
  }

  /**
   * Replaces the workers one by one; each goes when its replacement has come as far as it. When one
   * fails, the others stay. Asked meanwhile, it begins again afterwards.
   */
  roll(): Promise<void> {
    if (this.#isStopping) return Promise.resolve();
    if (this.#rolling !== null) {
      this.#rollAgain = true;
      return this.#rolling;
    }
    this.#rolling = this.#rollAll().finally(() => {
      this.#rolling = null;
    });
    return this.#rolling;
  }

  async #rollAll(): Promise<void> {
    const { log, name, count } = this.#options;
    do {
      this.#rollAgain = false;
      log.info(`Replacing the workers of ${name}, one by one`);
      let replaced = 0;
      for (const place of this.#places) {
        if (this.#isStopping) return;
        if (place.finished !== null) continue;
        if (!(await this.#replace(place))) break;
        replaced++;
      }
      if (!this.#isStopping) log.info(`Replaced ${replaced} of ${count} workers of ${name}`);
    } while (this.#rollAgain && !this.#isStopping);
  }

  /** False if the replacement failed, and was dropped. */
  async #replace(place: Place): Promise<boolean> {
    const { log, settleMs = 1000, startMs = 60_000 } = this.#options;
    if (place.timer !== null) clearTimeout(place.timer);
    place.timer = null;
    place.isReplacing = true;
    const old = place.current;
    const fresh = this.#launch(place.number);
    const reached = old ?? { registered: false, listening: false };
    const problem = await readyFor(fresh, reached, { settleMs, startMs });
    place.isReplacing = false;
    if (this.#isStopping) return false;
    if (problem === null) {
      place.finished = null;
      this.#adopt(place, fresh);
      log.info(`${this.#label(place, fresh.pid)}, replaces pid ${old?.pid ?? "of none"}`);
      await old?.stop();
      return true;
    }
    const how = fresh.ending === null ? problem : describeEnding(fresh.ending);
    const text = `${this.#label(place, fresh.pid)}, replacing ${old?.pid ?? "none"}, ${how}`;
    log.error(`${text}: replacing no more, the others stay`);
    this.#hint(fresh);
    await fresh.stop();
    // The old one has ended meanwhile.
    if (place.current === null && !this.#isStopping) {
      if (place.finished !== null) this.#finishIfDone();
      else this.#startLater(place, 0, `${this.#label(place)} has no process`);
    }
    return false;
  }

  /** Ends all. Resolves when nothing is left: false if any had to be killed. */
  async stop(): Promise<boolean> {
    this.#isStopping = true;
    for (const { timer } of this.#places) if (timer !== null) clearTimeout(timer);
    const workers = [...this.#processes];
    await Promise.all(workers.map((worker) => worker.stop()));
    await this.#rolling;
    for (const worker of workers.filter(({ wasKilled }) => wasKilled)) {
      this.#options.log.warn(`${this.#label(worker, worker.pid)}, did not end in time: killed`);
    }
    return workers.every(({ wasKilled }) => !wasKilled);
  }

  /** Ends all at once. */
  kill(): void {
    for (const worker of this.#processes) worker.kill();
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}
