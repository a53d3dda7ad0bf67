// What was read at one moment.

import type { Sample, WorkerSample } from "../../sample.ts";
import type { Readable } from "../frame.ts";
import { exactNumber, parseExact } from "./exact_parse.ts";

type Value = number | bigint;
type Fields = Record<string, unknown>;

/** The values of one moment, whoever told them. */
export class Snapshot implements Readable {
  readonly #sample: Sample;
  readonly #totals: Sample;
  readonly #workers: readonly WorkerSample[];

  constructor(sample: Sample, totals: Sample, workers: readonly WorkerSample[]) {
    this.#sample = sample;
    this.#totals = totals;
    this.#workers = workers;
  }

  /** @param source reads of one moment if nothing awaits in between. */
  static of(source: Readable): Snapshot {
    const exact = { bigint: true } as const;
    return new Snapshot(source.sample(exact), source.totals(exact), source.sampleByWorker(exact));
  }

  /** @param json a supervisor's answer. @throws {Error} when it is no status. */
  static parse(json: string): Snapshot {
    const monitors = parseExact(json);
    const monitor = Array.isArray(monitors) ? monitors.find(isUtilization) : undefined;
    if (monitor === undefined) throw new Error("it has no utilization monitor");
    const sample = sampleOf(monitor.data);
    // A Ruby supervisor has neither.
    const totals = isFields(monitor.totals) ? sampleOf(monitor.totals) : countersOf(sample);
    const workers = Array.isArray(monitor.workers) ? monitor.workers.map(workerOf) : [];
    return new Snapshot(sample, totals, workers);
  }

  sample(): Sample {
    return this.#sample;
  }

  totals(): Sample {
    return this.#totals;
  }

  sampleByWorker(): readonly WorkerSample[] {
    return this.#workers;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Other monitors of a supervisor have other data. */
function isUtilization(monitor: unknown): monitor is Fields & { data: Fields } {
  return (
    isFields(monitor) &&
    isFields(monitor.data) &&
    Object.values(monitor.data).every((data) => isFields(data) && "worker_count" in data)
  );
}

function sampleOf(services: Fields): Sample {
  const sample: Sample = Object.create(null);
  for (const [service, data] of Object.entries(services)) {
    sample[service] = fieldsOf(data) as Sample[string];
  }
  return sample;
}

function fieldsOf(data: unknown): Record<string, Value> {
  const fields: Record<string, Value> = Object.create(null);
  if (!isFields(data)) return fields;
  for (const [name, value] of Object.entries(data)) fields[name] = exactNumber(value);
  return fields;
}

function countersOf(sample: Sample): Sample {
  const counters: Sample = Object.create(null);
  for (const [service, data] of Object.entries(sample)) {
    const own = Object.entries(data).filter(([name]) => name.endsWith("_total"));
    counters[service] = fieldsOf(Object.fromEntries(own)) as Sample[string];
  }
  return counters;
}

function workerOf(worker: unknown): WorkerSample {
  const { id, processId, service, mapping, stalledFor, data } = isFields(worker) ? worker : {};
  return {
    id: Number(id),
    processId: typeof processId === "number" ? processId : null,
    service: String(service),
    mapping: typeof mapping === "string" ? mapping : "unknown",
    stalledFor: typeof stalledFor === "number" ? stalledFor : null,
    data: fieldsOf(data),
  };
}
