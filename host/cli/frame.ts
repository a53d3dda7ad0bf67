// What a live table shows at one moment: values, and how fast counters rise.

import type { Sample, WorkerSample } from "../sample.ts";

type Value = number | bigint;

/** A field; counters have a rate. */
export interface Column {
  readonly name: string;
  readonly isCounter: boolean;
}

/** One line of values, by field. */
export interface Values {
  readonly values: ReadonlyMap<string, Value>;
  /** Per second, never below 0; a counter without a rate has been seen once, or began anew. */
  readonly rates: ReadonlyMap<string, number>;
}

export interface WorkerFrame extends Values {
  readonly id: number;
  readonly processId: number | null;
  /** How it writes: what comes through file I/O, `"none"`, may be a flush old. */
  readonly mapping: string;
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

/** What can be read: a monitor, its answer, or a file of one that is gone. */
export interface Readable {
  sample(options: { readonly bigint: true }): Sample;
  totals(options: { readonly bigint: true }): Sample;
  sampleByWorker(options: { readonly bigint: true }): readonly WorkerSample[];
}

/** Counters of one row at one moment, and their rates then. */
interface Measured {
  readonly counters: ReadonlyMap<string, Value>;
  readonly rates: ReadonlyMap<string, number>;
}

/** Makes frames of what a monitor says, one after the other. */
export class FrameReader {
  readonly #monitor: Readable;
  readonly #now: () => number;
  #time = Number.NEGATIVE_INFINITY;
  /** By whose they are. */
  #measured: ReadonlyMap<string, Measured> = new Map();

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
    const measured = new Map<string, Measured>();
    const isCounter = counterTest(totals);

    const withRates = (whose: string, service: string, data: Record<string, Value>): Values => {
      const values = new Map(Object.entries(data).filter(([name]) => !RESERVED.has(name)));
      const counters = new Map<string, Value>();
      const rates = new Map<string, number>();
      const before = this.#measured.get(whose);
      for (const [name, value] of values) {
        if (!isCounter(service, name)) continue;
        counters.set(name, value);
        const rate = isSoon
          ? before?.rates.get(name)
          : rateOf(value, before?.counters.get(name), seconds);
        if (rate !== undefined) rates.set(name, rate);
      }
      measured.set(whose, { counters, rates });
      return { values, rates };
    };

    // Totals keep their order, whoever comes and goes.
    const names = new Set([...Object.keys(totals), ...Object.keys(sample)]);
    const byService = new Map<string, WorkerFrame[]>([...names].map((name) => [name, []]));
    for (const worker of workers) byService.get(worker.service)?.push(workerFrame(worker));
    const services = [...byService].map(([name, own]) => {
      return {
        name,
        workerCount: Number(sample[name]?.worker_count ?? 0),
        stalledCount: own.filter(isStalled).length,
        ...withRates(`service ${name}`, name, { ...sample[name], ...totals[name] }),
        workers: own,
      };
    });
    function workerFrame({ service, data, ...worker }: WorkerSample): WorkerFrame {
      const { id, processId, mapping, stalledFor } = worker;
      // Another supervisor gives the same ids to others.
      const values = withRates(`worker ${id} ${processId} ${service}`, service, data);
      return { id, processId, mapping, stalledFor, ...values };
    }

    if (!isSoon) {
      this.#time = time;
      this.#measured = measured;
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

function rateOf(value: Value, before: Value | undefined, seconds: number): number | undefined {
  if (before === undefined) return undefined;
  const isExact = typeof value === "bigint" && typeof before === "bigint";
  const rate = (isExact ? Number(value - before) : Number(value) - Number(before)) / seconds;
  return rate >= 0 ? rate : undefined;
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
