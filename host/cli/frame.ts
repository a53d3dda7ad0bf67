// What a live table shows at one moment: values, and how fast counters rise.

import type { Sample, WorkerSample } from "../sample.ts";
import type { UtilizationMonitor } from "../utilization_monitor.ts";

type Value = number | bigint;

/** A field; counters have a rate. */
export interface Column {
  readonly name: string;
  readonly isCounter: boolean;
}

/** One line of values, by field. */
export interface Values {
  readonly values: ReadonlyMap<string, Value>;
  /** Per second; a counter without a rate has been seen once. */
  readonly rates: ReadonlyMap<string, number>;
}

export interface WorkerFrame extends Values {
  readonly id: number;
  readonly processId: number | null;
  /** For how many seconds its event loop has stood still: 0 while it runs, null if unknown. */
  readonly stalledFor: number | null;
}

/** Counters are those of all workers there ever were, gauges those of the living. */
export interface ServiceFrame extends Values {
  readonly name: string;
  readonly workerCount: number;
  readonly stalledCount: number;
  readonly workers: readonly WorkerFrame[];
}

export interface Frame {
  readonly columns: readonly Column[];
  readonly services: readonly ServiceFrame[];
}

/** Not fields of a schema. */
const RESERVED: ReadonlySet<string> = new Set(["worker_count", "stalled_count", "heartbeat"]);

/** A rate over less time says little: the last one stays. */
const SHORTEST_SECONDS = 0.1;

/** What can be read: a monitor, or a file of one that is gone. */
export type Readable = Pick<UtilizationMonitor, "sample" | "totals" | "sampleByWorker">;

/** Makes frames of what a monitor says, one after the other. */
export class FrameReader {
  readonly #monitor: Readable;
  readonly #now: () => number;
  #time = Number.NEGATIVE_INFINITY;
  /** Counters at that time, by whose and which; and their rates then. */
  #counters: ReadonlyMap<string, Value> = new Map();
  #rates: ReadonlyMap<string, number> = new Map();

  /** @param now milliseconds on a clock that never goes back. */
  constructor(monitor: Readable, now: () => number = () => performance.now()) {
    this.#monitor = monitor;
    this.#now = now;
  }

  read(): Frame {
    const sample = this.#monitor.sample({ bigint: true });
    const totals = this.#monitor.totals({ bigint: true });
    const workers = this.#monitor.sampleByWorker({ bigint: true });
    const time = this.#now();
    const seconds = (time - this.#time) / 1000;
    const isSoon = seconds < SHORTEST_SECONDS;
    const counters = new Map<string, Value>();
    const rates = new Map<string, number>();
    const isCounter = counterTest(totals);

    const withRates = (whose: string, service: string, data: Record<string, Value>): Values => {
      const values = new Map(Object.entries(data).filter(([name]) => !RESERVED.has(name)));
      const ratesByName = new Map<string, number>();
      for (const [name, value] of values) {
        if (!isCounter(service, name)) continue;
        const key = JSON.stringify([whose, name]);
        const before = this.#counters.get(key);
        const measured = before === undefined ? undefined : difference(value, before) / seconds;
        const rate = isSoon ? this.#rates.get(key) : measured;
        counters.set(key, value);
        if (rate === undefined) continue;
        rates.set(key, rate);
        ratesByName.set(name, rate);
      }
      return { values, rates: ratesByName };
    };

    // Totals keep their order, whoever comes and goes.
    const names = new Set([...Object.keys(totals), ...Object.keys(sample)]);
    const services = [...names].map((name) => {
      const own = workers.filter(({ service }) => service === name).map(workerFrame);
      return {
        name,
        workerCount: Number(sample[name]?.worker_count ?? 0),
        stalledCount: own.filter(isStalled).length,
        ...withRates(`service ${name}`, name, { ...sample[name], ...totals[name] }),
        workers: own,
      };
    });
    function workerFrame({ id, processId, stalledFor, service, data }: WorkerSample): WorkerFrame {
      return { id, processId, stalledFor, ...withRates(`worker ${id}`, service, data) };
    }

    if (!isSoon) {
      this.#time = time;
      this.#counters = counters;
      this.#rates = rates;
    }
    return { columns: columnsOf(services, isCounter), services };
  }
}

/** Whether a worker is known to stand still. */
export function isStalled({ stalledFor }: Pick<WorkerSample, "stalledFor">): boolean {
  return stalledFor !== null && stalledFor > 0;
}

/** Totals have counters, and nothing else. */
function counterTest(totals: Sample): (service: string, field: string) => boolean {
  return (service, field) => Object.hasOwn(totals[service] ?? {}, field);
}

function difference(value: Value, before: Value): number {
  return typeof value === "bigint" && typeof before === "bigint"
    ? Number(value - before)
    : Number(value) - Number(before);
}

/** All fields in order of appearance. */
function columnsOf(
  services: readonly ServiceFrame[],
  isCounter: (service: string, field: string) => boolean,
): Column[] {
  const columns = new Map<string, Column>();
  for (const { name: service, values } of services) {
    for (const name of values.keys()) {
      const known = columns.get(name)?.isCounter ?? false;
      columns.set(name, { name, isCounter: known || isCounter(service, name) });
    }
  }
  return [...columns.values()];
}
