// What a live table shows at one moment: values, and how fast counters rise.

import { type HistogramParts, histogramsNamed, partNames } from "../histogram_parts.ts";
import { bucketCounts, countOf, quantile } from "../quantiles.ts";
import type { Sample, WorkerSample } from "../sample.ts";
import type { Texts } from "../text_field.ts";

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
  readonly histograms: ReadonlyMap<string, HistogramValues>;
}

/** What was observed since the look before; since ever, where there was none. */
export interface HistogramValues {
  /** Since ever. */
  readonly count: Value;
  /** Per second; undefined where there was no look before, or it began anew. */
  readonly rate?: number | undefined;
  /** Undefined where nothing was observed. */
  readonly p50?: number | undefined;
  readonly p99?: number | undefined;
}

export interface WorkerFrame extends Values {
  readonly id: number;
  readonly processId: number | null;
  /** How it writes: what comes through file I/O, `"none"`, may be a flush old. */
  readonly mapping: string;
  /** For how many seconds its event loop has stood still: 0 while it runs, null if unknown. */
  readonly stalledFor: number | null;
  /** Of each gauge that may leak, its lowest value within the window. */
  readonly leaking?: Readonly<Record<string, number>> | undefined;
  /** What it says of itself. */
  readonly text?: Readonly<Texts> | undefined;
}

/** Counters are those of all workers there ever were, gauges those of the living. */
export interface ServiceFrame extends Values {
  readonly name: string;
  readonly workerCount: number;
  readonly stalledCount: number;
  /** What its newest worker says of itself. */
  readonly text?: Readonly<Texts> | undefined;
  readonly workers: readonly WorkerFrame[];
}

export interface Frame {
  readonly columns: readonly Column[];
  /** Names of histograms: their fields are no columns. */
  readonly histograms: readonly string[];
  /** The names of all texts. */
  readonly texts?: readonly string[];
  readonly services: readonly ServiceFrame[];
}

/** Not fields of a schema. */
const RESERVED: ReadonlySet<string> = new Set(["worker_count", "stalled_count", "heartbeat"]);

/** A rate over less time says little: the last one stays. */
const SHORTEST_SECONDS = 0.1;

/** A worker as it was told, by an older supervisor too. */
export type SeenWorker = Omit<WorkerSample, "slot">;

/** What can be read: a monitor, its answer, or a file of one that is gone. */
export interface Readable {
  sample(options: { readonly bigint: true }): Sample;
  totals(options: { readonly bigint: true }): Sample;
  sampleByWorker(options: { readonly bigint: true }): readonly SeenWorker[];
  text(): Readonly<Record<string, Readonly<Texts>>>;
}

/** Counters of one row at one moment, and their rates then. */
interface Measured {
  readonly counters: ReadonlyMap<string, Value>;
  readonly rates: ReadonlyMap<string, number>;
  readonly histograms: ReadonlyMap<string, HistogramValues>;
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
    const texts = this.#monitor.text();
    const time = this.#now();
    const seconds = (time - this.#time) / 1000;
    const isSoon = seconds < SHORTEST_SECONDS;
    const measured = new Map<string, Measured>();
    const isCounter = counterTest(totals);
    const histogramsOf = new Map(
      Object.entries(totals).map(([name, data]) => [name, histogramsNamed(Object.keys(data))]),
    );

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
      const histograms = new Map<string, HistogramValues>();
      for (const parts of histogramsOf.get(service)?.values() ?? []) {
        // Not all workers of a service need have it.
        if (!counters.has(parts.sum!)) continue;
        const known = isSoon ? before?.histograms.get(parts.name) : undefined;
        const told = known ?? histogramValues(parts, counters, before?.counters, seconds);
        histograms.set(parts.name, told);
      }
      measured.set(whose, { counters, rates, histograms });
      return { values, rates, histograms };
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
        text: Object.hasOwn(texts, name) ? texts[name] : undefined,
        ...withRates(`service ${name}`, name, { ...sample[name], ...totals[name] }),
        workers: own,
      };
    });
    function workerFrame({ service, data, ...worker }: SeenWorker): WorkerFrame {
      const { id, processId, mapping, stalledFor, leaking, text } = worker;
      // Another supervisor gives the same ids to others.
      const values = withRates(`worker ${id} ${processId} ${service}`, service, data);
      return { id, processId, mapping, stalledFor, leaking, text, ...values };
    }

    if (!isSoon) {
      this.#time = time;
      this.#measured = measured;
    }
    const parts = [...histogramsOf.values()].flatMap((histograms) => [...histograms.values()]);
    return {
      columns: columnsOf(services, isCounter, new Set(parts.flatMap(partNames))),
      histograms: [...new Set(parts.map(({ name }) => name))],
      texts: textsIn(services),
      services,
    };
  }
}

/** Whether a worker is known to stand still. */
export function isStalled({ stalledFor }: Pick<WorkerSample, "stalledFor">): boolean {
  return stalledFor !== null && stalledFor > 0;
}

/** Whether what a worker has in flight may leak. */
export function isLeaking({ leaking }: Pick<WorkerFrame, "leaking">): boolean {
  return leaking !== undefined && Object.keys(leaking).length > 0;
}

/** The names of all texts, in order of appearance. */
function textsIn(services: readonly ServiceFrame[]): string[] {
  const names = new Set<string>();
  for (const { text, workers } of services) {
    for (const own of [text, ...workers.map((worker) => worker.text)]) {
      if (own !== undefined) for (const name of Object.keys(own)) names.add(name);
    }
  }
  return [...names];
}

/** Totals have counters, and nothing else. */
function counterTest(totals: Sample): (service: string, field: string) => boolean {
  return (service, field) => Object.hasOwn(totals[service] ?? {}, field);
}

function rateOf(value: Value, before: Value | undefined, seconds: number): number | undefined {
  if (before === undefined) return undefined;
  const rate = Number(rise(value, before)) / seconds;
  return rate >= 0 ? rate : undefined;
}

/** `seconds` have gone by since the values of `before`. */
function histogramValues(
  parts: HistogramParts,
  values: ReadonlyMap<string, Value>,
  before: ReadonlyMap<string, Value> | undefined,
  seconds: number,
): HistogramValues {
  const counts = bucketCounts(parts, (field) => values.get(field));
  const count = countOf(counts);
  const rises = bucketCounts(parts, (field) => rise(values.get(field), before?.get(field)));
  // Some of it began anew: what was observed since is not known.
  if (rises.some((bucket) => bucket.count < 0)) return { count };
  const rate = before === undefined ? undefined : Number(countOf(rises)) / seconds;
  return { count, rate, p50: quantile(0.5, rises), p99: quantile(0.99, rises) };
}

function rise(value: Value = 0, before: Value | undefined): Value {
  if (before === undefined) return value;
  const isExact = typeof value === "bigint" && typeof before === "bigint";
  return isExact ? value - before : Number(value) - Number(before);
}

/** All fields in order of appearance, but the parts of histograms. */
function columnsOf(
  services: readonly ServiceFrame[],
  isCounter: (service: string, field: string) => boolean,
  parts: ReadonlySet<string>,
): Column[] {
  const columns = new Map<string, Column>();
  for (const { name: service, values } of services) {
    for (const name of values.keys()) {
      if (parts.has(name)) continue;
      const known = columns.get(name)?.isCounter ?? false;
      columns.set(name, { name, isCounter: known || isCounter(service, name) });
    }
  }
  return [...columns.values()];
}
