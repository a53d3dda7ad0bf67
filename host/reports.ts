// What is told of the services: their values, in the order in which they first appeared.

import { NONE, SAMPLE, TOTALS } from "../assembly/layout.ts";
import { exactJson } from "./exact_json.ts";
import type { Value } from "./sampler.ts";
import type { SegmentAllocator } from "./segment_allocator.ts";
import type { Group, Service, ServiceField } from "./service.ts";

/** Values by field name; a null-prototype object. */
export type ServiceData = Record<string, Value> & { worker_count: number };

/** How to write the values of one service: its fields in order, and where the count goes. */
interface Report {
  readonly service: Service;
  readonly fields: readonly ServiceField[];
  readonly countPosition: number;
}

export class Reports {
  readonly #allocator: SegmentAllocator;
  readonly #services: ReadonlyMap<string, Service>;
  readonly #groups: ReadonlyMap<string, Group>;
  /** Recomputed when membership has changed. */
  #reports: readonly Report[] | null = null;

  constructor(
    allocator: SegmentAllocator,
    services: ReadonlyMap<string, Service>,
    groups: ReadonlyMap<string, Group>,
  ) {
    this.#allocator = allocator;
    this.#services = services;
    this.#groups = groups;
  }

  /** Membership has changed: the order of services and fields may be another. */
  changed(): void {
    this.#reports = null;
  }

  /** The live aggregates of what was gathered, in order of first appearance among the living. */
  sample(bigint: boolean): Record<string, ServiceData> {
    return this.#objects(this.#sampleReports(), bigint);
  }

  /** The counters of all that was gathered and retired, services without workers included. */
  totals(bigint: boolean): Record<string, ServiceData> {
    return this.#objects(this.#totalsReports(), bigint);
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
    const result: Record<string, ServiceData> = Object.create(null);
    for (const report of reports) {
      const data: Record<string, Value> = Object.create(null);
      this.#each(report, bigint, (name, value) => {
        data[name] = value;
      });
      result[report.service.name] = data as ServiceData;
    }
    return result;
  }

  #text(reports: readonly Report[]): string {
    const services = reports.map((report) => {
      const members: string[] = [];
      this.#each(report, true, (name, value) => {
        members.push(`${JSON.stringify(name)}:${exactJson(value)}`);
      });
      return `${JSON.stringify(report.service.name)}:{${members.join(",")}}`;
    });
    return `{${services.join(",")}}`;
  }

  #each(report: Report, bigint: boolean, visit: (name: string, value: Value) => void): void {
    const { service, fields, countPosition } = report;
    const { sampler } = this.#allocator;
    for (let i = 0; i < fields.length; i++) {
      if (i === countPosition) visit("worker_count", service.workerCount);
      const { name, accumulator } = fields[i]!;
      const value = sampler.result(accumulator, bigint);
      if (value !== undefined) visit(name, value);
    }
    if (countPosition >= fields.length) visit("worker_count", service.workerCount);
  }

  #sampleReports(): readonly Report[] {
    this.#allocator.core.exports.finish(SAMPLE);
    this.#reports ??= this.#order();
    return this.#reports;
  }

  #totalsReports(): readonly Report[] {
    this.#allocator.core.exports.finish(TOTALS);
    return [...this.#services.values()].map((service) => {
      const fields = [...service.fields.values()].filter(isCounter);
      return { service, fields, countPosition: fields.length };
    });
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
    return [...reports].map(([service, { fields, countPosition }]) => ({
      service,
      fields: [...fields.values()],
      countPosition,
    }));
  }
}

function isCounter(field: ServiceField): boolean {
  return field.declaration.kind === "counter";
}
