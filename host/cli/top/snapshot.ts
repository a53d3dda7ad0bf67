// What was read at one moment.

import { histogramsNamed, partNames } from "../../histogram_parts.ts";
import type { Sample } from "../../sample.ts";
import type { Texts } from "../../text_field.ts";
import type { Readable, SeenWorker } from "../frame.ts";
import { exactNumber, parseExact } from "./exact_parse.ts";

type Value = number | bigint;
type Fields = Record<string, unknown>;

/** The values of one moment, whoever told them. */
export class Snapshot implements Readable {
  readonly #sample: Sample;
  readonly #totals: Sample;
  readonly #workers: readonly SeenWorker[];
  readonly #text: Readonly<Record<string, Readonly<Texts>>>;

  constructor(
    sample: Sample,
    totals: Sample,
    workers: readonly SeenWorker[],
    text: Readonly<Record<string, Readonly<Texts>>> = {},
  ) {
    this.#sample = sample;
    this.#totals = totals;
    this.#workers = workers;
    this.#text = text;
  }

  /** @param source reads of one moment if nothing awaits in between. */
  static of(source: Readable): Snapshot {
    const exact = { bigint: true } as const;
    const [sample, totals] = [source.sample(exact), source.totals(exact)];
    return new Snapshot(sample, totals, source.sampleByWorker(exact), source.text());
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
    const text: Record<string, Texts> = Object.create(null);
    if (isFields(monitor.text)) {
      for (const [service, own] of Object.entries(monitor.text)) text[service] = textsOf(own);
    }
    return new Snapshot(sample, totals, workers, text);
  }

  sample(): Sample {
    return this.#sample;
  }

  totals(): Sample {
    return this.#totals;
  }

  sampleByWorker(): readonly SeenWorker[] {
    return this.#workers;
  }

  text(): Readonly<Record<string, Readonly<Texts>>> {
    return this.#text;
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

function textsOf(data: unknown): Texts {
  const texts: Texts = Object.create(null);
  if (!isFields(data)) return texts;
  for (const [name, value] of Object.entries(data)) texts[name] = String(value);
  return texts;
}

function numbersOf(data: Fields): Record<string, number> {
  const entries = Object.entries(fieldsOf(data));
  return Object.fromEntries(entries.map(([name, value]) => [name, Number(value)]));
}

function countersOf(sample: Sample): Sample {
  const counters: Sample = Object.create(null);
  for (const [service, data] of Object.entries(sample)) {
    const parts = new Set([...histogramsNamed(Object.keys(data)).values()].flatMap(partNames));
    const own = Object.entries(data).filter(([name]) => name.endsWith("_total") || parts.has(name));
    counters[service] = fieldsOf(Object.fromEntries(own)) as Sample[string];
  }
  return counters;
}

function workerOf(worker: unknown): SeenWorker {
  const { id, processId, service, mapping, stalledFor, text, leaking, data } = isFields(worker)
    ? worker
    : {};
  return {
    id: Number(id),
    processId: typeof processId === "number" ? processId : null,
    service: String(service),
    mapping: typeof mapping === "string" ? mapping : "unknown",
    stalledFor: typeof stalledFor === "number" ? stalledFor : null,
    ...(isFields(text) && { text: textsOf(text) }),
    ...(isFields(leaking) && { leaking: numbersOf(leaking) }),
    data: fieldsOf(data),
  };
}
