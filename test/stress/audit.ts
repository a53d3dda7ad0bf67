// Compares what a monitor reads with what the workers say that they have done.

import type { UtilizationMonitor } from "../../host/utilization_monitor.ts";
import type { Ledger } from "./ledger.ts";

/** The service of all workers, and the counters that they count alike in. */
export const SERVICE = "web";
export const FIELDS = ["requests_total", "weight_total"] as const;

export interface AuditOptions {
  /**
   * Whether workers change segments. While one does, what it counts is not to be seen: until it is
   * back, only that nothing goes back which has been read before can be asked for.
   */
  readonly moving: boolean;
  /** How long from one reading to the next. */
  readonly everyMs: number;
}

/** Readings whose problems are told: the others are only counted. */
const TOLD = 5;

/**
 * Reads the monitor again and again. Of each reading is known what all workers had done before it,
 * and what they had intended after it: everything has to be in between.
 */
export class Audit {
  readonly #monitor: UtilizationMonitor;
  readonly #ledger: Ledger;
  readonly #moving: boolean;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #tell: (problems: string) => void;
  #told = 0;

  constructor(
    monitor: UtilizationMonitor,
    ledger: Ledger,
    { moving, everyMs }: AuditOptions,
    tell: (problems: string) => void,
  ) {
    this.#monitor = monitor;
    this.#ledger = ledger;
    this.#moving = moving;
    this.#tell = tell;
    this.#timer = setInterval(() => this.read(), everyMs);
    this.read();
  }

  /** Reads once. `settled`: all workers are where they belong, and all that was done must be there. */
  read(settled: boolean = !this.#moving): void {
    const problems: string[] = [];
    try {
      this.#compare(settled, (problem) => problems.push(problem));
    } catch (error) {
      problems.push((error as Error).stack ?? String(error));
    }
    this.#ledger.tally(problems.length === 0);
    if (problems.length === 0 || this.#told++ >= TOLD) return;
    const { detachedCount } = this.#monitor;
    const when = settled ? "settled" : `${detachedCount} detached`;
    this.#tell(`(${when}) ${problems.join("; ")}`);
  }

  #compare(settled: boolean, complain: (problem: string) => void): void {
    const monitor = this.#monitor;
    const ledger = this.#ledger;
    const least = settled ? ledger.dones() : ledger.sights();
    const workers = monitor.sampleByWorker({ bigint: true });
    const live = monitor.sample({ bigint: true })[SERVICE];
    const totals = monitor.totals({ bigint: true })[SERVICE];
    const most = ledger.intents();

    const numbers = ledger.numbersByPid();
    const present = new Set<number>();
    for (const { processId, data } of workers) {
      const number = numbers.get(processId ?? 0);
      if (number === undefined) {
        complain(`process ${processId} is a worker, and has not entered itself`);
        continue;
      }
      if (present.has(number)) complain(`worker ${number} is there twice`);
      present.add(number);
      for (const field of FIELDS) {
        const value = exact(data[field]);
        between(`${field} of worker ${number}`, value, least[number]!, most[number]!, complain);
      }
      // Of the field that is stored last: the others are not below it.
      ledger.see(number, exact(data[FIELDS[1]]));
    }
    const count = exact(live?.worker_count);
    if (count !== BigInt(workers.length)) {
      complain(`${count} workers are counted, ${workers.length} are listed`);
    }
    FIELDS.forEach((field, index) => {
      const part = exact(live?.[field]);
      between(`sampled ${field}`, part, sum(least, present), sum(most, present), complain);
      const total = exact(totals?.[field]);
      between(`total of ${field}`, total, sum(least), sum(most), complain);
      const before = ledger.total(index);
      if (total < before) complain(`the total of ${field} fell from ${before} to ${total}`);
      ledger.setTotal(index, total);
    });
  }

  end(): void {
    clearInterval(this.#timer);
  }
}

function between(
  what: string,
  value: bigint,
  least: bigint,
  most: bigint,
  complain: (problem: string) => void,
): void {
  if (value < least) complain(`${what} is ${value}, ${least - value} below what was done before`);
  if (value > most) complain(`${what} is ${value}, ${value - most} above what was intended after`);
}

/** Sums of floats are whole numbers far below 2^53 here, and exact. */
function exact(value: number | bigint | null | undefined): bigint {
  return BigInt(value ?? 0);
}

function sum(column: readonly bigint[], workers?: ReadonlySet<number>): bigint {
  return column.reduce(
    (total, value, worker) =>
      workers === undefined || workers.has(worker) ? total + value : total,
    0n,
  );
}
