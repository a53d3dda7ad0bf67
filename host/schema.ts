import {
  type Field,
  type FieldOptions,
  makeField,
  nameProblem,
  notA,
  optionsProblem,
  type Problem,
  printable,
  shown,
  unknownOption,
} from "./field.ts";
import {
  FIELD_TYPE_ALIASES,
  FIELD_TYPES,
  type FieldType,
  type FieldTypeAlias,
  isFieldType,
  resolveAlias,
  sizeOf,
} from "./field_type.ts";

export type { Aggregate, Field, FieldOptions, Kind } from "./field.ts";
export { type FieldType, type FieldTypeAlias, sizeOf, typeCode } from "./field_type.ts";

/** What `Schema.build` takes: a type, or a type with options, per name. */
export type SchemaDefinition = Readonly<Record<string, FieldDefinition>>;

export type FieldDefinition =
  | FieldType
  | FieldTypeAlias
  | (FieldOptions & { readonly type: FieldType | FieldTypeAlias });

/** A field as it goes over the wire. Ruby knows the first three elements and ignores the fourth. */
export type Row = [name: string, type: FieldType, offset: number, options?: FieldOptions];

/** A foreign row that was dropped. */
export interface RejectedRow {
  readonly index: number;
  /** Fit for a log line; null if the row has no name. */
  readonly name: string | null;
  readonly reason: string;
}

/** A schema of more rows is refused as a whole. */
export const MAX_ROWS = 4096;

/**
 * The fields of a segment, in the order in which they were declared.
 *
 * @example
 * ```ts
 * const schema = Schema.build({
 *   requests_total: "u64",
 *   requests_active: "u32",
 *   memory: { type: "u64", aggregate: "max", unit: "bytes" },
 * });
 * ```
 */
export class Schema<Name extends string = string> {
  readonly fields: readonly Field<Name>[];
  /** Bytes from the start of the segment to the end of the last field. */
  readonly size: number;
  /**
   * Where the heartbeat of a worker goes: the first aligned 32-bit word behind the fields, so that
   * it moves none of them. Where fields were added later, they are behind it.
   *
   * @internal
   */
  readonly heartbeatOffset: number;
  readonly #byName: ReadonlyMap<string, Field<Name>>;

  private constructor(fields: readonly Field<Name>[], heartbeatOffset?: number) {
    this.fields = fields;
    this.size = Math.max(0, ...fields.map((field) => field.offset + sizeOf(field.type)));
    this.heartbeatOffset = heartbeatOffset ?? Math.ceil(this.size / 4) * 4;
    this.#byName = new Map(fields.map((field) => [field.name, field]));
  }

  /**
   * Lays out fields in the order of the definition, each aligned to its size: only aligned values
   * can be stored and read whole. Throws a TypeError or RangeError that names the field at fault.
   */
  static build<const Definition extends SchemaDefinition>(
    definition: Definition,
  ): Schema<keyof Definition & string> {
    if (typeof definition !== "object" || definition === null || Array.isArray(definition)) {
      throw new TypeError(
        `Cannot build a schema: the definition is not an object: ${shown(definition)}`,
      );
    }
    const fields = layOut(definition, 0) as Field<keyof Definition & string>[];
    if (fields.length === 0 || fields.length > MAX_ROWS) {
      throw new RangeError(
        `Cannot build a schema of ${fields.length} fields: 1 to ${MAX_ROWS} are allowed`,
      );
    }
    return new Schema(fields);
  }

  /**
   * A schema with a given layout, such as the packed one of the Ruby original. Fields that are not
   * aligned can be written through an `Observer`, but have no `Metric`. Throws a RangeError for the
   * first row that is not in order.
   */
  static fromRows(rows: readonly Row[]): Schema {
    const parsed = parseRows(rows, Number.MAX_SAFE_INTEGER);
    if (parsed === null) {
      throw new RangeError(
        `Cannot build a schema of ${rows.length} rows: 1 to ${MAX_ROWS} are allowed`,
      );
    }
    const rejected = parsed.rejected[0];
    if (rejected !== undefined) {
      throw new RangeError(
        `Cannot build a schema: row ${rejected.index}, field "${rejected.name}": ${rejected.reason}`,
      );
    }
    return new Schema(parsed.fields);
  }

  /**
   * The same with one more field, behind all others and the heartbeat: these stay where they are.
   * Throws as `build` does, and for a name that is taken.
   *
   * @internal
   */
  with(name: string, definition: FieldDefinition): Schema<Name> {
    if (this.#byName.has(name)) {
      throw new RangeError(`Cannot build field "${printable(name)}": the name is taken`);
    }
    if (this.fields.length === MAX_ROWS) {
      throw new RangeError(`Cannot build field "${printable(name)}": ${MAX_ROWS} are allowed`);
    }
    const added = layOut({ [name]: definition }, Math.max(this.size, this.heartbeatOffset + 4));
    return new Schema([...this.fields, ...(added as Field<Name>[])], this.heartbeatOffset);
  }

  /**
   * The same with the first `count` fields alone.
   *
   * @internal
   */
  first(count: number): Schema<Name> {
    if (count >= this.fields.length) return this;
    return new Schema(this.fields.slice(0, count), this.heartbeatOffset);
  }

  /** The field of this name, if there is one. */
  field(name: string): Field<Name> | undefined {
    return this.#byName.get(name);
  }

  /** The form that goes over the wire. Options that were not given are left out. */
  toRows(): Row[] {
    return toRows(this.fields);
  }
}

/** Fields from this offset on, each aligned to its size. Throws for the first one at fault. */
function layOut(definition: SchemaDefinition, start: number): Field[] {
  let offset = start;
  return Object.entries(definition).map(([name, value]) => {
    const options = typeof value === "string" ? { type: value } : value;
    const problem =
      nameProblem(name) ??
      optionsProblem(name, options) ??
      unknownOption(options) ??
      typeProblem(options.type);
    if (problem !== null) throw problemError(name, problem);

    const type = resolveAlias(options.type) as FieldType;
    const size = sizeOf(type);
    offset = Math.ceil(offset / size) * size;
    const field = makeField(name, type, offset, options);
    offset += size;
    return field;
  });
}

/** Fields as rows. Options that were not given are left out. */
export function toRows(fields: readonly Field[]): Row[] {
  return fields.map(toRow);
}

function toRow(field: Field): Row {
  const { name, type, offset, kind, aggregate, unit, help, declared } = field;
  const options: FieldOptions = {
    ...(declared.kind && { kind }),
    ...(declared.aggregate && { aggregate }),
    ...(unit !== undefined && { unit }),
    ...(help !== undefined && { help }),
  };
  return Object.keys(options).length > 0 ? [name, type, offset, options] : [name, type, offset];
}

/**
 * Reads the rows of a foreign worker. Nothing about them is taken for granted: a row that is not in
 * order is dropped with a reason, and the others are kept. A later row of the same name replaces
 * type, offset and options of an earlier one, in its place.
 *
 * Returns null where there is no schema at all: not an array, no rows, or more than `MAX_ROWS`.
 */
export function parseRows(
  rows: unknown,
  segmentSize: number,
): { fields: Field[]; rejected: RejectedRow[] } | null {
  if (!Array.isArray(rows) || rows.length === 0 || rows.length > MAX_ROWS) return null;
  const fields = new Map<string, Field>();
  const rejected: RejectedRow[] = [];
  for (const [index, row] of rows.entries()) {
    const problem = rowProblem(row, segmentSize);
    if (problem === null) {
      const [name, type, offset, options] = row as Row;
      fields.set(name, makeField(name, type, offset, options ?? {}));
    } else {
      const name: unknown = Array.isArray(row) ? row[0] : null;
      rejected.push({
        index,
        name: typeof name === "string" ? printable(name) : null,
        reason: problem.reason,
      });
    }
  }
  return { fields: [...fields.values()], rejected };
}

/** Whether `rows` are those of `fields`, as far as {@link parseRows} would tell them apart. */
export function rowsAre(rows: unknown, fields: readonly Field[]): boolean {
  if (!Array.isArray(rows) || rows.length !== fields.length) return false;
  return fields.every((field, index) => rowIs(rows[index], field));
}

function rowIs(row: unknown, field: Field): boolean {
  if (!Array.isArray(row)) return false;
  const { declared, kind, aggregate, unit, help } = field;
  if (row[0] !== field.name || row[1] !== field.type || row[2] !== field.offset) return false;
  const options: unknown = row[3] ?? {};
  if (typeof options !== "object" || options === null || Array.isArray(options)) return false;
  const said = options as FieldOptions;
  return (
    said.kind === (declared.kind ? kind : undefined) &&
    said.aggregate === (declared.aggregate ? aggregate : undefined) &&
    said.unit === unit &&
    said.help === help
  );
}

function rowProblem(row: unknown, segmentSize: number): Problem | null {
  if (!Array.isArray(row) || row.length < 3) {
    const what = Array.isArray(row) ? `${row.length} elements` : shown(row);
    return { error: TypeError, reason: `the row is not [name, type, offset]: ${what}` };
  }
  const [name, type, offset, options]: unknown[] = row;
  const problem = nameProblem(name) ?? optionsProblem(name as string, options ?? {});
  if (problem !== null) return problem;
  if (!isFieldType(type)) return unknownType(type, FIELD_TYPES);
  if (typeof offset !== "number" || !Number.isSafeInteger(offset) || offset < 0) {
    const reason = `the offset is not a whole number of bytes: ${shown(offset)}`;
    return { error: RangeError, reason };
  }
  if (offset + sizeOf(type) > segmentSize) {
    const end = offset + sizeOf(type);
    return { error: RangeError, reason: `it ends at byte ${end}, the segment at ${segmentSize}` };
  }
  return null;
}

function typeProblem(type: unknown): Problem | null {
  if (typeof type !== "string") return notA("type", "string", type);
  if (isFieldType(resolveAlias(type))) return null;
  return unknownType(type, [...FIELD_TYPES, ...FIELD_TYPE_ALIASES]);
}

function unknownType(type: unknown, types: readonly string[]): Problem {
  return {
    error: RangeError,
    reason: `unknown type ${shown(type)}: not one of ${types.join(", ")}`,
  };
}

function problemError(name: string, problem: Problem): Error {
  return new problem.error(`Cannot build field "${printable(name)}": ${problem.reason}`);
}
