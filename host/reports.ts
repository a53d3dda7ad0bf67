// What is told of the services: their values, in the order in which they first appeared.

import { NONE, SAMPLE, TOTALS } from "../assembly/layout.ts";
import { exactJson } from "./exact_json.ts";
import type { Field } from "./field.ts";
import { type HistogramParts, histogramsOf } from "./histogram_parts.ts";
import { histogramSample } from "./quantiles.ts";
import type { HistogramSample, HistogramSamples, ServiceData } from "./sample.ts";
import type { SegmentAllocator } from "./segment_allocator.ts";
import type { Group, Service, ServiceField } from "./service.ts";
import type { Value } from "./value.ts";

/** One value of a service. */
interface Entry {
  readonly name: string;
  /** The name as a key of JSON text, with its colon. */
  readonly key: string;
  /** NONE for the number of workers. */
  readonly accumulator: number;
}

/** What to tell of one service, in order. Made when membership changes, read at every sample. */
interface Report {
  readonly service: Service;
  readonly key: string;
  readonly entries: readonly Entry[];
  readonly histograms: readonly HistogramParts[];
}

export class Reports {
  readonly #allocator: SegmentAllocator;
  readonly #services: ReadonlyMap<string, Service>;
  readonly #groups: ReadonlyMap<string, Group>;
  // Made anew when membership has changed.
  #sampled: readonly Report[] | null = null;
  #totalled: readonly Report[] | null = null;
  #fields: ReadonlyMap<string, ReadonlyMap<string, Field>> | null = null;

  constructor(
    allocator: SegmentAllocator,
    services: ReadonlyMap<string, Service>,
    groups: ReadonlyMap<string, Group>,
  ) {
    this.#allocator = allocator;
    this.#services = services;
    this.#groups = groups;
  }

  /** Services, fields or members have changed, or how a field is declared. */
  changed(): void {
    this.#sampled = null;
    this.#totalled = null;
    this.#fields = null;
  }

  /** How the fields of each service are declared. */
  fields(): ReadonlyMap<string, ReadonlyMap<string, Field>> {
    this.#fields ??= new Map(
      Array.from(this.#services.values(), ({ name, fields }) => {
        const declared = Array.from(fields.values(), (field) => field.declaration);
        return [name, new Map(declared.map((field) => [field.name, field]))];
      }),
    );
    return this.#fields;
  }

  /** The live aggregates of what was gathered, in order of first appearance among the living. */
  sample(bigint: boolean): Record<string, ServiceData> {
    return this.#objects(this.#sampleReports(), bigint);
  }

  /** The counters of all that was gathered and retired, services without workers included. */
  totals(bigint: boolean): Record<string, ServiceData> {
    return this.#objects(this.#totalsReports(), bigint);
  }

  /** The histograms of {@link sample}, of the same moment; null where there are none. */
  histograms(bigint: boolean): HistogramSamples | null {
    const { sampler } = this.#allocator;
    let result: Record<string, Record<string, HistogramSample>> | null = null;
    for (const { service, histograms } of this.#sampleReports()) {
      for (const parts of histograms) {
        const read = (field: string): Value | undefined =>
          sampler.result(service.fields.get(field)!.accumulator, bigint);
        result ??= Object.create(null) as Record<string, Record<string, HistogramSample>>;
        result[service.name] ??= Object.create(null);
        result[service.name]![parts.name] = histogramSample(parts, read);
      }
    }
    return result;
  }

  /** {@link sample} as exact JSON text: in order even where a name looks like an array index. */
  sampleText(): string {
    return this.#text(this.#sampleReports());
  }

  /** {@link totals} as exact JSON text. */
  totalsText(): string {
    return this.#text(this.#totalsReports());
  }

  #objects(reports: readonly Report[], bigint: boolean): Record<string, ServiceData> {
    const { sampler } = this.#allocator;
    const result: Record<string, ServiceData> = Object.create(null);
    for (const { service, entries } of reports) {
      const data: Record<string, Value> = Object.create(null);
      for (const { name, accumulator } of entries) {
        const value =
          accumulator === NONE ? service.workerCount : sampler.result(accumulator, bigint);
        if (value !== undefined) data[name] = value;
      }
      result[service.name] = data as ServiceData;
    }
    return result;
  }

  #text(reports: readonly Report[]): string {
    const { sampler } = this.#allocator;
    let services = "";
    for (const { service, key, entries } of reports) {
      let members = "";
      for (const { key, accumulator } of entries) {
        const value = accumulator === NONE ? service.workerCount : sampler.exactResult(accumulator);
        if (value === undefined) continue;
        members += `${members === "" ? "" : ","}${key}${exactJson(value)}`;
      }
      services += `${services === "" ? "" : ","}${key}{${members}}`;
    }
    return `{${services}}`;
  }

  #sampleReports(): readonly Report[] {
    this.#allocator.core.exports.finish(SAMPLE);
    this.#sampled ??= this.#order();
    return this.#sampled;
  }

  #totalsReports(): readonly Report[] {
    this.#allocator.core.exports.finish(TOTALS);
    this.#totalled ??= Array.from(this.#services.values(), (service) => {
      const fields = [...service.fields.values()].filter(isCounter);
      return makeReport(service, fields, fields.length);
    });
    return this.#totalled;
  }

  /** Services and fields by first appearance; the count after the first worker's own fields. */
  #order(): Report[] {
    const { exports } = this.#allocator.core;
    const byAge = [...this.#groups.values()]
      .map((group) => ({ group, oldest: exports.oldest(group.index) }))
      .filter(({ oldest }) => oldest !== NONE)
      .sort((a, b) => a.oldest - b.oldest);
    const reports = new Map<
      Service,
      { fields: Map<string, ServiceField>; countPosition: number }
    >();
    for (const { group } of byAge) {
      const { service } = group;
      let report = reports.get(service);
      if (report === undefined) {
        report = { fields: new Map(), countPosition: group.fields.length };
        reports.set(service, report);
      }
      for (const { name } of group.fields) report.fields.set(name, service.fields.get(name)!);
    }
    return Array.from(reports, ([service, { fields, countPosition }]) =>
      makeReport(service, [...fields.values()], countPosition),
    );
  }
}

/** `countPosition` is how many fields come before the number of workers. */
function makeReport(
  service: Service,
  fields: readonly Pick<ServiceField, "name" | "accumulator">[],
  countPosition: number,
): Report {
  const count = { name: "worker_count", accumulator: NONE };
  const entries = fields
    .toSpliced(countPosition, 0, count)
    .map(({ name, accumulator }) => ({ name, key: keyOf(name), accumulator }));
  const declarations = fields.map(
    ({ name }) => [name, service.fields.get(name)!.declaration] as const,
  );
  const histograms = [...histogramsOf(new Map(declarations)).values()];
  return { service, key: keyOf(service.name), entries, histograms };
}

function keyOf(name: string): string {
  return `${JSON.stringify(name)}:`;
}

function isCounter(field: ServiceField): boolean {
  return field.declaration.kind === "counter";
}
