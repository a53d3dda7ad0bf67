// Which fields each service has, and which accumulator sums each of them. Names live here; the core
// knows numbers only.

import {
  BANK_FLOAT,
  BANK_HIGH,
  BANK_LOW,
  BANK_PARTS,
  COUNTER,
  LAST,
  MAX,
  MIN,
  PART_FLOAT,
  PART_INTEGER,
  SUM,
} from "../assembly/layout.ts";
import { type Aggregate, type Field, printable } from "./field.ts";
import { isInteger } from "./field_type.ts";
import type { Journal } from "./journal.ts";
import type { MonitorLimits } from "./limits.ts";
import type { Logger } from "./log.ts";
import { Reports } from "./reports.ts";
import { rowsAre, type SegmentFields } from "./schema.ts";
import type { SegmentAllocator } from "./segment_allocator.ts";
import { Group, Service, type ServiceField } from "./service.ts";

const AGGREGATES: Readonly<Record<Aggregate, number>> = {
  sum: SUM,
  min: MIN,
  max: MAX,
  last: LAST,
};

/** Counters that no worker reports any more are kept for totals, up to this many a service. */
const KEPT_FIELDS = 4096;

/** How much is remembered of all services together. */
export type ServicesLimits = Required<Pick<MonitorLimits, "services" | "fields">>;

export class Services {
  readonly #allocator: SegmentAllocator;
  readonly #log: Logger;
  readonly #journal: Journal | null;
  readonly #limits: ServicesLimits;
  readonly #onLimit: (limit: keyof ServicesLimits, message: string) => void;
  /** Fields of all services. */
  #fieldCount = 0;
  readonly #services: Map<string, Service> = new Map();
  readonly #groups: Map<string, Group> = new Map();
  /** What is told of them. */
  readonly reports: Reports;

  constructor(
    allocator: SegmentAllocator,
    limits: ServicesLimits,
    log: Logger,
    journal: Journal | null = null,
    onLimit: (limit: keyof ServicesLimits, message: string) => void = () => {},
  ) {
    this.#allocator = allocator;
    this.#limits = limits;
    this.#onLimit = onLimit;
    this.#log = log;
    this.#journal = journal;
    this.reports = new Reports(allocator, this.#services, this.#groups);
  }

  /** The groups' indices in the core. */
  *groupIndices(): Generator<number> {
    for (const group of this.#groups.values()) yield group.index;
  }

  get size(): number {
    return this.#services.size;
  }

  /** Membership has changed: the order of services and fields may be another. */
  changed(): void {
    this.reports.changed();
  }

  /** @throws {RangeError} when there would be more services than allowed, all with workers. */
  requireRoomFor(serviceName: string): void {
    const { services: limit } = this.#limits;
    if (this.#services.size < limit || this.#services.has(serviceName)) return;
    let busy = 0;
    for (const { workerCount } of this.#services.values()) if (workerCount > 0) busy++;
    if (busy < limit) return;
    const problem = `there are ${limit} services with workers already`;
    this.#onLimit("services", `Refused a worker of another service: ${problem}`);
    throw new RangeError(problem);
  }

  /**
   * Those of a worker's fields that there is room for. Counters that no worker reports any more are
   * forgotten for them, oldest service first; then the last of its new fields are left out.
   */
  withinLimit(serviceName: string, all: SegmentFields): SegmentFields {
    const { fields: limit } = this.#limits;
    const { fields, texts } = all;
    const known = this.#services.get(serviceName);
    const added = [
      ...fields.filter(({ name }) => known?.fields.has(name) !== true),
      ...texts.filter(({ name }) => known?.texts.has(name) !== true),
    ];
    if (added.length === 0 || this.#fieldCount + added.length <= limit) return all;
    const message = `More than ${limit} fields with those of a worker of service "${printable(serviceName)}"`;
    this.#onLimit("fields", message);
    this.#forgetUnused(limit - added.length, serviceName, fields);
    const excess = this.#fieldCount + added.length - limit;
    if (excess <= 0) return all;
    const leftOut = new Set<object>(added.slice(-excess));
    return {
      fields: fields.filter((field) => !leftOut.has(field)),
      texts: texts.filter((text) => !leftOut.has(text)),
    };
  }

  /** Forgets counters without workers, but those that a worker brings back, until `count` are left. */
  #forgetUnused(count: number, serviceName: string, fields: readonly Field[]): void {
    const wanted = new Set(fields.map(({ name }) => name));
    for (const service of this.#services.values()) {
      for (const field of service.fields.values()) {
        if (this.#fieldCount <= count) return;
        if (field.groups > 0 || (service.name === serviceName && wanted.has(field.name))) continue;
        this.#forget(service, field);
        this.#journal?.append({ drop: service.name, field: field.name });
      }
      if (service.groups.size + service.fields.size === 0) this.#services.delete(service.name);
    }
  }

  /**
   * The group that last took a worker of `serviceName`, if these are the rows of its fields: most
   * workers are like the one before, and their rows need not be read.
   */
  recentGroup(serviceName: string, rows: unknown): Group | null {
    const group = this.#services.get(serviceName)?.recent ?? null;
    return group?.declares === true && rowsAre(rows, group) ? group : null;
  }

  /** The group of workers of `serviceName` with these fields; `declares` as in a group. */
  group(serviceName: string, { fields, texts }: SegmentFields, declares = true): Group {
    const key = JSON.stringify([serviceName, fields, texts]);
    const known = this.#groups.get(key);
    if (known !== undefined) {
      known.service.recent = known;
      if (declares) this.#declareAgain(known);
      return known;
    }
    const service = this.#services.get(serviceName) ?? new Service(serviceName);
    const added: ServiceField[] = [];
    for (const field of fields) added.push(this.#field(service, field, declares));
    const accumulators = new Map(added.map((field) => [field.name, field.accumulator]));
    const index = this.#allocator.compile(fields, ({ name }) => accumulators.get(name)!);
    for (const field of added) {
      field.groups++;
      if (declares) field.declaring++;
    }
    for (const { name } of texts) this.#addText(service, name);
    const group = new Group(index, service, { fields, texts }, key);
    group.declares = declares;
    this.#groups.set(key, group);
    service.groups.add(group);
    service.recent = group;
    if (!this.#services.has(serviceName)) {
      this.#services.set(serviceName, service);
      this.#forgetOldServices();
    }
    this.changed();
    return group;
  }

  #addText({ texts }: Service, name: string): void {
    const groups = texts.get(name) ?? 0;
    if (groups === 0) this.#fieldCount++;
    texts.set(name, groups + 1);
  }

  #removeText({ texts }: Service, name: string): void {
    const groups = texts.get(name)! - 1;
    if (groups > 0) {
      texts.set(name, groups);
      return;
    }
    texts.delete(name);
    this.#fieldCount--;
  }

  /** Puts back what the dead of an earlier supervisor had counted in one field. */
  restore(serviceName: string, declaration: Field, integer: bigint, float: number): void {
    const service = this.#services.get(serviceName) ?? new Service(serviceName);
    const { accumulator } = this.#field(service, { ...declaration, kind: "counter" }, false);
    const { core } = this.#allocator;
    const bank = core.checked(core.exports.retired(accumulator), "restore a total");
    core.bigint64[(bank + BANK_LOW) >>> 3] = integer;
    core.bigint64[(bank + BANK_HIGH) >>> 3] = integer >> 64n;
    core.float64[(bank + BANK_FLOAT) >>> 3] = float;
    const isFloat = !isInteger(declaration.type);
    const parts =
      (integer !== 0n || !isFloat ? PART_INTEGER : 0) | (isFloat || float !== 0 ? PART_FLOAT : 0);
    core.int32[(bank + BANK_PARTS) >>> 2] = parts;
    this.#services.set(serviceName, service);
    this.changed();
  }

  #field(service: Service, declaration: Field, declares: boolean): ServiceField {
    const { core } = this.#allocator;
    const known = service.fields.get(declaration.name);
    if (known === undefined) {
      const accumulator = core.checked(
        core.exports.accumulator(aggregateCode(declaration)),
        `add field "${declaration.name}"`,
      );
      const wasCounter = declaration.kind === "counter";
      const { name } = declaration;
      const field = {
        name,
        accumulator,
        declaration,
        groups: 0,
        declaring: 0,
        wasCounter,
        warned: false,
      };
      service.fields.set(declaration.name, field);
      this.#fieldCount++;
      return field;
    }
    known.wasCounter ||= declaration.kind === "counter";
    if (declares) this.#reconcile(service, known, declaration);
    return known;
  }

  /** Schemas of one service may differ: an explicit declaration beats a default. */
  #reconcile(service: Service, field: ServiceField, offered: Field): void {
    if (field.declaring === 0) {
      this.#declare(field, offered);
      field.warned = false;
      return;
    }
    const held = field.declaration;
    const same =
      held.kind === offered.kind &&
      held.aggregate === offered.aggregate &&
      held.unit === offered.unit;
    if (isDeclared(offered) && !isDeclared(held)) this.#declare(field, offered);
    if (same || field.warned) return;
    field.warned = true;
    this.#log.warn(
      `Field "${printable(field.name)}" of service "${printable(service.name)}" is declared in two ways: ` +
        `${describe(held)} and ${describe(offered)}, using ${describe(field.declaration)}`,
    );
  }

  #declare(field: ServiceField, declaration: Field): void {
    field.declaration = declaration;
    this.#allocator.core.exports.define(field.accumulator, aggregateCode(declaration));
    this.changed();
  }

  /** A group that had no workers has one again. */
  #declareAgain(group: Group): void {
    if (group.declares) return;
    group.declares = true;
    const { service } = group;
    for (const offered of group.fields) {
      const field = service.fields.get(offered.name)!;
      this.#reconcile(service, field, offered);
      field.declaring++;
    }
  }

  /** A declaration ends with the last group that made it: the others' holds again. */
  #declareNoMore(group: Group): void {
    if (!group.declares) return;
    group.declares = false;
    const { service } = group;
    const left = new Set<ServiceField>();
    for (const { name } of group.fields) {
      const field = service.fields.get(name)!;
      field.declaring--;
      if (field.declaring > 0) left.add(field);
    }
    if (left.size === 0) return;
    const offered = new Map<ServiceField, Field>();
    for (const { declares, fields } of service.groups) {
      if (!declares) continue;
      for (const declaration of fields) {
        const field = service.fields.get(declaration.name)!;
        const best = offered.get(field);
        if (best === undefined || beats(declaration, best, field)) offered.set(field, declaration);
      }
    }
    for (const field of left) {
      const declaration = offered.get(field)!;
      if (declaration === field.declaration) continue;
      this.#declare(field, declaration);
      field.warned = false;
    }
  }

  /** How the core combines each field of a group now. */
  #aggregates(group: Group): number[] {
    return group.fields.map(({ name }) =>
      aggregateCode(group.service.fields.get(name)!.declaration),
    );
  }

  /**
   * How the fields of a group are retired: as counters, too, what its own workers count, whatever the
   * service takes it for now. It is there when the field is a counter again.
   */
  retiredAs(group: Group): number[] {
    const now = this.#aggregates(group);
    return group.fields.map(({ kind }, index) => (kind === "counter" ? COUNTER : now[index]!));
  }

  /** Runs `action` with the fields of a group combined in another way than now. */
  withAggregates(group: Group, aggregates: readonly number[], action: () => void): void {
    const { exports } = this.#allocator.core;
    const now = this.#aggregates(group);
    const define = (codes: readonly number[]): void => {
      group.fields.forEach(({ name }, index) => {
        exports.define(group.service.fields.get(name)!.accumulator, codes[index]!);
      });
    };
    define(aggregates);
    try {
      action();
    } finally {
      define(now);
    }
  }

  /** Drops a group that nothing needs any more, and what only it needed. Without workers it declares nothing. */
  release(group: Group): void {
    if (group.live + group.detached > 0 || this.#groups.get(group.key) !== group) return;
    this.#declareNoMore(group);
    if (group.departed > 0) return;
    const { core } = this.#allocator;
    const { service } = group;
    core.checked(core.exports.dissolve(group.index), "dissolve a group");
    this.#groups.delete(group.key);
    service.groups.delete(group);
    if (service.recent === group) service.recent = null;
    for (const { name } of group.fields) {
      const field = service.fields.get(name)!;
      field.groups--;
      if (field.groups === 0 && !field.wasCounter) this.#forget(service, field);
    }
    for (const { name } of group.texts) this.#removeText(service, name);
    this.#forgetOldFields(service);
    if (service.groups.size === 0 && service.fields.size === 0) this.#services.delete(service.name);
    this.#forgetOldServices();
    this.changed();
  }

  #forget(service: Service, field: ServiceField): void {
    service.fields.delete(field.name);
    this.#fieldCount--;
    this.#allocator.core.exports.forget(field.accumulator);
    this.changed();
  }

  #forgetOldFields(service: Service): void {
    for (const field of service.fields.values()) {
      if (service.fields.size <= KEPT_FIELDS) return;
      if (field.groups > 0) continue;
      this.#forget(service, field);
      this.#journal?.append({ drop: service.name, field: field.name });
    }
  }

  /** Services whose workers are all gone are kept for totals, up to a number. */
  #forgetOldServices(): void {
    const { services: limit } = this.#limits;
    if (this.#services.size <= limit) return;
    for (const service of this.#services.values()) {
      if (service.groups.size > 0) continue;
      for (const field of service.fields.values()) this.#forget(service, field);
      this.#journal?.append({ drop: service.name });
      this.#services.delete(service.name);
      const name = printable(service.name);
      this.#onLimit(
        "services",
        `Forgot the totals of service "${name}": more than ${limit} services`,
      );
      if (this.#services.size <= limit) return;
    }
  }
}

/** Whether a declaration is to be preferred to another one: what holds already, then what is explicit. */
function beats(declaration: Field, other: Field, { declaration: held }: ServiceField): boolean {
  if (declaration === held || other === held) return declaration === held;
  return isDeclared(declaration) && !isDeclared(other);
}

/** How the core combines the values of a field. */
function aggregateCode({ kind, aggregate }: Field): number {
  return kind === "counter" ? COUNTER : AGGREGATES[aggregate];
}

function isDeclared({ declared }: Field): boolean {
  return declared.kind || declared.aggregate || declared.unit;
}

function describe({ kind, aggregate, unit }: Field): string {
  const combined = kind === "counter" ? kind : `${kind} (${aggregate})`;
  return unit === undefined ? combined : `${combined} in ${unit}`;
}
