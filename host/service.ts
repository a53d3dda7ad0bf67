// One service: its fields, and the groups of its workers.

import type { Field } from "./field.ts";
import type { SegmentFields } from "./schema.ts";
import type { TextField } from "./text_field.ts";

/** One field of one service, whatever the schemas of its workers. */
export interface ServiceField {
  readonly name: string;
  readonly accumulator: number;
  /** The one that holds: the first explicit one of the groups that declare it, else the first. */
  declaration: Field;
  /** How many groups have it. */
  groups: number;
  /** How many of these declare it. Without any, what held last still does. */
  declaring: number;
  /** Whether it was a counter to any worker: then what is retired may be in it. */
  wasCounter: boolean;
  warned: boolean;
}

/** The workers of one name. */
export class Service {
  readonly name: string;
  readonly fields: Map<string, ServiceField> = new Map();
  /** Of each text, how many groups have it. */
  readonly texts: Map<string, number> = new Map();
  readonly groups: Set<Group> = new Set();
  /** The group that last took a worker. */
  recent: Group | null = null;

  constructor(name: string) {
    this.name = name;
  }

  get workerCount(): number {
    let count = 0;
    for (const group of this.groups) count += group.live;
    return count;
  }
}

/** The workers of a service that share a schema. */
export class Group {
  /** Index in the core. */
  readonly index: number;
  readonly service: Service;
  readonly fields: readonly Field[];
  readonly texts: readonly TextField[];
  readonly key: string;
  live = 0;
  /** Segments of workers that are out of sight. */
  detached = 0;
  /** Workers whose counters are retired, and which may come back. */
  departed = 0;
  /** Whether its workers have a say in how fields are declared: those that may come back have none. */
  declares = true;
  /** The number of its schema in the journal. */
  schema: number | null = null;

  constructor(index: number, service: Service, { fields, texts }: SegmentFields, key: string) {
    this.index = index;
    this.service = service;
    this.fields = fields;
    this.texts = texts;
    this.key = key;
  }
}
