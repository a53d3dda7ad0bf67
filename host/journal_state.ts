// What a journal says: who holds which segment, and what the dead had counted. A supervisor applies
// to it what it writes, and whoever reads a journal applies what it reads.

import type { Evidence } from "./holder.ts";
import { parseRows, type Row, type SegmentFields } from "./schema.ts";

/** Who holds a segment, as it was known when it was written. */
export interface JournalHolder {
  readonly at: number;
  readonly id: number;
  readonly pid: number | null;
  readonly start: string | null;
  readonly incarnation: string | null;
  readonly evidence: Evidence;
}

/** Counters by name: integers as text, with all digits, and floats as numbers. */
export type JournalCounters = Readonly<Record<string, string | number>>;

/**
 * One change. Each names a key, the number of a registration; a line is an array of changes that
 * happened at once, so that a torn line takes all of them back.
 */
export type Change =
  /** A worker was given a segment, and asked for its schema. */
  | ({ readonly hold: number } & JournalHolder)
  /** Workers of a service with these rows are spoken of by this number from now on. */
  | { readonly schema: number; readonly service: string; readonly rows: readonly Row[] }
  /** It answered: it is in samples. */
  | {
      readonly register: number;
      readonly start: string | null;
      readonly evidence: Evidence;
      readonly schema: number;
      readonly state: unknown;
    }
  /** It is gone from view. */
  | { readonly detach: number; readonly start: string | null; readonly evidence: Evidence }
  /** Its segment is free; what was in it counts no more. */
  | { readonly free: number }
  /** Its segment is free, and these counters are in the base; `kept` if it may come back. */
  | { readonly retire: number; readonly counters: JournalCounters; readonly kept?: true }
  /** The same, in a journal that was written anew: the base has them already. */
  | { readonly keep: number; readonly counters: JournalCounters }
  /** It came back: what it left in the base is out again. */
  | { readonly readmit: number }
  /** It will not come back. */
  | { readonly forget: number }
  /** The base of a service, or of one of its fields, is forgotten. */
  | { readonly drop: string; readonly field?: string }
  /** The base of a field, in a journal that was written anew. */
  | {
      readonly base: string;
      readonly row: Row;
      readonly integer: string;
      readonly float: number;
    };

/** A registration whose segment is not free. */
export interface Held extends JournalHolder {
  readonly key: number;
  /** Null while its schema is not known. */
  readonly schema: HeldSchema | null;
  /** What the worker tells of itself. */
  readonly state: unknown;
  readonly detached: boolean;
}

/** What workers have in common. */
export interface HeldSchema {
  readonly number: number;
  readonly service: string;
  readonly rows: readonly Row[];
}

/** A registration whose counters are in the base, and which may come back. */
export interface Kept {
  readonly held: Held & { readonly schema: HeldSchema };
  readonly counters: JournalCounters;
}

/** What the dead had counted in one field. */
export interface Base {
  readonly row: Row;
  integer: bigint;
  float: number;
}

export class JournalState {
  readonly held: Map<number, Held> = new Map();
  readonly kept: Map<number, Kept> = new Map();
  readonly bases: Map<string, Map<string, Base>> = new Map();
  /** Those that may be referred to. */
  readonly schemas: Map<number, HeldSchema> = new Map();
  /** Above every key so far. */
  nextKey = 1;
  /** Above the number of every schema so far. */
  nextSchema = 1;

  /**
   * @throws {Error} for a change that does not follow from those before: then the journal is not
   * what its supervisor wrote.
   */
  apply(change: Change): void {
    if ("hold" in change) {
      const { hold: key, ...holder } = change;
      this.held.set(key, { ...holder, key, schema: null, state: null, detached: false });
      this.nextKey = Math.max(this.nextKey, key + 1);
    } else if ("register" in change) {
      const { register: key, start, evidence, state } = change;
      const schema = this.#schemaOf(change.schema);
      this.held.set(key, { ...this.#heldBy(key), start, evidence, schema, state });
    } else if ("schema" in change) {
      const { schema: number, service, rows } = change;
      this.schemas.set(number, { number, service, rows });
      this.nextSchema = Math.max(this.nextSchema, number + 1);
    } else if ("detach" in change) {
      const { detach: key, start, evidence } = change;
      this.held.set(key, { ...this.#heldBy(key), detached: true, start, evidence });
    } else if ("free" in change) {
      this.held.delete(this.#heldBy(change.free).key);
    } else if ("retire" in change) {
      this.#retire(this.#heldBy(change.retire), change.counters, change.kept === true);
    } else if ("keep" in change) {
      this.#keep(this.#heldBy(change.keep), change.counters);
    } else if ("readmit" in change) {
      const { held, counters } = this.#keptBy(change.readmit);
      this.#count(held.schema, counters, -1);
      this.kept.delete(held.key);
    } else if ("forget" in change) {
      this.kept.delete(this.#keptBy(change.forget).held.key);
    } else if ("drop" in change) {
      const fields = this.bases.get(change.drop);
      if (change.field !== undefined) fields?.delete(change.field);
      if (change.field === undefined || fields?.size === 0) this.bases.delete(change.drop);
    } else {
      const { base, row, integer, float } = change;
      this.#basesOf(base).set(row[0], { row, integer: BigInt(integer), float });
    }
  }

  #schemaOf(number: number): HeldSchema {
    const schema = this.schemas.get(number);
    if (schema === undefined) throw new Error(`schema ${number} is not there`);
    return schema;
  }

  #heldBy(key: number): Held {
    const held = this.held.get(key);
    if (held === undefined) throw new Error(`registration ${key} holds nothing`);
    return held;
  }

  #keptBy(key: number): Kept {
    const kept = this.kept.get(key);
    if (kept === undefined) throw new Error(`registration ${key} left nothing`);
    return kept;
  }

  #retire(held: Held, counters: JournalCounters, isKept: boolean): void {
    if (held.schema === null) throw new Error(`registration ${held.key} has no schema`);
    this.#count(held.schema, counters, 1);
    if (isKept) this.#keep(held, counters);
    else this.held.delete(held.key);
  }

  #keep(held: Held, counters: JournalCounters): void {
    const { schema } = held;
    if (schema === null) throw new Error(`registration ${held.key} has no schema`);
    this.held.delete(held.key);
    this.kept.set(held.key, { held: { ...held, schema }, counters });
  }

  #count(schema: HeldSchema, counters: JournalCounters, sign: 1 | -1): void {
    const entries = Object.entries(counters);
    if (entries.length === 0) return;
    const bases = this.#basesOf(schema.service);
    for (const [name, value] of entries) {
      let base = bases.get(name);
      if (base === undefined) {
        const row = schema.rows.find(([field]) => field === name);
        if (row === undefined) throw new Error(`the schema has no field "${name}"`);
        base = { row, integer: 0n, float: 0 };
        bases.set(name, base);
      }
      if (typeof value === "string") base.integer += BigInt(sign) * BigInt(value);
      else base.float += sign * value;
    }
  }

  #basesOf(service: string): Map<string, Base> {
    let bases = this.bases.get(service);
    if (bases === undefined) {
      bases = new Map();
      this.bases.set(service, bases);
    }
    return bases;
  }

  /** Whether nobody holds anything, and nobody has counted anything. */
  get isEmpty(): boolean {
    return this.held.size + this.kept.size + this.bases.size === 0;
  }

  /** The changes that lead here from nothing. Schemas that nobody has any more are forgotten. */
  *snapshot(): Generator<Change[]> {
    this.#forgetUnusedSchemas();
    for (const { number, service, rows } of this.schemas.values()) {
      yield [{ schema: number, service, rows }];
    }
    for (const [service, bases] of this.bases) {
      for (const { row, integer, float } of bases.values()) {
        yield [{ base: service, row, integer: String(integer), float }];
      }
    }
    for (const { held, counters } of this.kept.values()) {
      yield [...changesTo(held), { keep: held.key, counters }];
    }
    for (const held of this.held.values()) yield changesTo(held);
  }

  #forgetUnusedSchemas(): void {
    const used = new Set<number | undefined>();
    for (const { schema } of this.held.values()) used.add(schema?.number);
    for (const { held } of this.kept.values()) used.add(held.schema.number);
    for (const number of this.schemas.keys()) if (!used.has(number)) this.schemas.delete(number);
  }
}

/** The changes that lead to it. */
function changesTo({ key, schema, state, detached, ...holder }: Held): Change[] {
  const { start, evidence } = holder;
  const changes: Change[] = [{ hold: key, ...holder }];
  if (schema !== null) {
    changes.push({ register: key, start, evidence, schema: schema.number, state });
  }
  if (detached) changes.push({ detach: key, start, evidence });
  return changes;
}

/** The fields of rows that a supervisor wrote. */
export function fieldsOf(rows: readonly Row[], segmentSize: number): SegmentFields {
  return parseRows(rows, segmentSize) ?? { fields: [], texts: [] };
}
