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
import { type HistogramDefinition, histogramFields } from "./histogram_definition.ts";
import {
  isTextType,
  makeTextField,
  TEXT_TYPES,
  type TextField,
  type TextOptions,
  type TextType,
  textOptionsProblem,
  textSizeOf,
} from "./text_field.ts";

export type { Aggregate, Field, FieldOptions, Kind } from "./field.ts";
export { type FieldType, type FieldTypeAlias, sizeOf, typeCode } from "./field_type.ts";

/** What `Schema.build` takes: a type, or a type with options, per name. */
export type SchemaDefinition = Readonly<
  Record<string, FieldDefinition | HistogramDefinition | TextDefinition>
>;

/** A text of so many bytes, such as `str32`. */
export type TextDefinition = TextType | (TextOptions & { readonly type: TextType });

/** The names of a definition that are texts. */
export type TextName<Definition extends SchemaDefinition> = {
  [Name in keyof Definition]: Definition[Name] extends TextDefinition ? Name : never;
}[keyof Definition] &
  string;

/** The names of a definition that are of one number each: all but those of histograms and texts. */
export type MetricName<Definition extends SchemaDefinition> = {
  [Name in keyof Definition]: Definition[Name] extends HistogramDefinition | TextDefinition
    ? never
    : Name;
}[keyof Definition] &
  string;

/** What is in a segment: numbers, which the core adds up, and texts. */
export interface SegmentFields {
  readonly fields: readonly Field[];
  readonly texts: readonly TextField[];
}

export type FieldDefinition =
  | FieldType
  | FieldTypeAlias
  | (FieldOptions & { readonly type: FieldType | FieldTypeAlias });

/** A field as it goes over the wire. Ruby knows the first three elements and ignores the fourth. */
export type Row = [
  name: string,
  type: FieldType | TextType,
  offset: number,
  options?: FieldOptions,
];

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
 *   version: "str32",
 * });
 * ```
 */
export class Schema<Name extends string = string, TextNames extends string = string>
  implements SegmentFields
{
  /** The numbers. */
  readonly fields: readonly Field<Name>[];
  /** They lie behind the numbers, so that whoever adds up needs not pass over them. */
  readonly texts: readonly TextField<TextNames>[];
  /** Bytes from the start of the segment to the end of the last field. */
  readonly size: number;
  /**
   * Where the heartbeat of a worker goes: the first aligned 32-bit word behind the numbers, so that
   * it moves none of them. Texts, and fields that were added later, are behind it.
   *
   * @internal
   */
  readonly heartbeatOffset: number;
  readonly #byName: ReadonlyMap<string, Field<Name>>;

  private constructor(
    fields: readonly Field<Name>[],
    texts: readonly TextField<TextNames>[],
    heartbeatOffset?: number,
  ) {
    this.fields = fields;
    this.texts = texts;
    this.size = Math.max(0, ...fields.map(endOf), ...texts.map(endOf));
    this.heartbeatOffset = heartbeatOffset ?? Math.ceil(this.size / 4) * 4;
    this.#byName = new Map(fields.map((field) => [field.name, field]));
  }

  /**
   * Lays out fields in the order of the definition, each aligned to its size: only aligned values
   * can be stored and read whole. A histogram is a field for each of its buckets, and one for the sum.
   * Texts come behind all others. Throws a TypeError or RangeError that names the field at fault.
   */
  static build<const Definition extends SchemaDefinition>(
    definition: Definition,
  ): Schema<MetricName<Definition>, TextName<Definition>> {
    if (typeof definition !== "object" || definition === null || Array.isArray(definition)) {
      throw new TypeError(
        `Cannot build a schema: the definition is not an object: ${shown(definition)}`,
      );
    }
    const [numbers, texts] = divide(definition);
    const fields = layOut(numbers, 0) as Field<MetricName<Definition>>[];
    const count = fields.length + texts.length;
    if (count === 0 || count > MAX_ROWS) {
      throw new RangeError(
        `Cannot build a schema of ${count} fields: 1 to ${MAX_ROWS} are allowed`,
      );
    }
    const schema = new Schema<MetricName<Definition>, TextName<Definition>>(fields, []);
    return texts.reduce((before, [name, text]) => before.withText(name, text), schema);
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
    return new Schema(parsed.fields, parsed.texts);
  }

  /**
   * The same with one more field or histogram, behind all others and the heartbeat: these stay where
   * they are. Throws as `build` does, and for a name that is taken.
   *
   * @internal
   */
  with(name: string, definition: FieldDefinition | HistogramDefinition): Schema<Name, TextNames> {
    const before = [...this.fields, ...this.texts];
    const added = layOut({ [name]: definition }, this.#end, before) as Field<Name>[];
    this.#requireRoomFor(name, added.length);
    return new Schema([...this.fields, ...added], this.texts, this.heartbeatOffset);
  }

  /**
   * The same with one more text, in the same way.
   *
   * @internal
   */
  withText(name: string, definition: TextDefinition): Schema<Name, TextNames> {
    const before = [...this.fields, ...this.texts];
    const added = textOf(name, definition, this.#end, before) as TextField<TextNames>;
    this.#requireRoomFor(name, 1);
    return new Schema(this.fields, [...this.texts, added], this.heartbeatOffset);
  }

  /** Where fields that are added go. */
  get #end(): number {
    return Math.max(this.size, this.heartbeatOffset + 4);
  }

  #requireRoomFor(name: string, count: number): void {
    if (this.fields.length + this.texts.length + count <= MAX_ROWS) return;
    throw new RangeError(`Cannot build field "${printable(name)}": ${MAX_ROWS} are allowed`);
  }

  /**
   * The same with those fields alone that the first `size` bytes hold.
   *
   * @internal
   */
  within(size: number): Schema<Name, TextNames> {
    if (size >= this.size) return this;
    const isIn = (field: Field | TextField): boolean => endOf(field) <= size;
    return new Schema(this.fields.filter(isIn), this.texts.filter(isIn), this.heartbeatOffset);
  }

  /** The number of this name, if there is one. */
  field(name: string): Field<Name> | undefined {
    return this.#byName.get(name);
  }

  /** The form that goes over the wire. Options that were not given are left out. */
  toRows(): Row[] {
    return toRows(this);
  }
}

/** The byte behind a field. */
export function endOf({ type, offset }: Field | TextField): number {
  return offset + (isTextType(type) ? textSizeOf(type) : sizeOf(type));
}

type NumberDefinition = FieldDefinition | HistogramDefinition;

/** The numbers of a definition, and its texts. */
function divide(
  definition: SchemaDefinition,
): [Readonly<Record<string, NumberDefinition>>, [string, TextDefinition][]] {
  const texts: [string, TextDefinition][] = [];
  const numbers: [string, NumberDefinition][] = [];
  for (const [name, value] of Object.entries(definition)) {
    if (isText(value)) texts.push([name, value]);
    else numbers.push([name, value]);
  }
  return [Object.fromEntries(numbers), texts];
}

function isText(definition: NumberDefinition | TextDefinition): definition is TextDefinition {
  return isTextType(typeof definition === "string" ? definition : definition?.type);
}

/** A text at this offset, behind the fields that are there. Throws where it is not in order. */
function textOf(
  name: string,
  definition: TextDefinition,
  offset: number,
  before: readonly Named[],
): TextField {
  const options = typeof definition === "string" ? { type: definition } : definition;
  const { type, ...rest } = options;
  const problem = nameProblem(name) ?? textOptionsProblem(rest) ?? unknownOption(rest);
  if (problem !== null) throw problemError(name, problem);
  if (!isTextType(type)) throw problemError(name, unknownType(type, [TEXT_TYPES]));
  if (namesOf(before).has(name)) throw takenError(name);
  return makeTextField(name, type, offset, options);
}

/** What takes a name, or two. */
interface Named {
  readonly name: string;
  readonly histogram?: string;
}

function namesOf(fields: readonly Named[]): Set<string> {
  return new Set(fields.flatMap(({ name, histogram }) => [name, histogram ?? name]));
}

/**
 * Fields from this offset on, each aligned to its size, behind those that are there. Throws for the
 * first one at fault.
 */
function layOut(
  definition: Readonly<Record<string, NumberDefinition>>,
  start: number,
  before: readonly Named[] = [],
): Field[] {
  let offset = start;
  const taken = namesOf(before);
  return Object.entries(definition).flatMap(([name, value]) => {
    const fields = fieldsOf(name, value);
    if (taken.has(name)) throw takenError(name);
    taken.add(name);
    return fields.map(({ name: own, definition: { type, ...options } }): Field => {
      if (own !== name && taken.has(own)) throw takenError(own);
      taken.add(own);
      const size = sizeOf(type);
      offset = Math.ceil(offset / size) * size;
      const field = makeField(own, type, offset, options);
      offset += size;
      return field;
    });
  });
}

/** A field as it was checked, without alias. */
interface CheckedField {
  readonly name: string;
  readonly definition: FieldOptions & { readonly type: FieldType };
}

/** The fields of one name of a definition: one, or those of a histogram. */
function fieldsOf(name: string, value: FieldDefinition | HistogramDefinition): CheckedField[] {
  const options = typeof value === "string" ? { type: value } : value;
  const fields = isHistogram(options)
    ? histogramFields(name, options)
    : [{ name, definition: options as Exclude<FieldDefinition, string> }];
  return fields.map(({ name, definition }) => {
    const problem =
      nameProblem(name) ??
      optionsProblem(name, definition) ??
      unknownOption(definition) ??
      typeProblem(definition.type);
    if (problem !== null) throw problemError(name, problem);
    return {
      name,
      definition: { ...definition, type: resolveAlias(definition.type) as FieldType },
    };
  });
}

function isHistogram(
  options: Readonly<{ type: string }>,
): options is Exclude<HistogramDefinition, string> {
  return options?.type === "histogram";
}

function takenError(name: string): RangeError {
  return new RangeError(`Cannot build field "${printable(name)}": the name is taken`);
}

/** Fields as rows, texts last. Options that were not given are left out. */
export function toRows({ fields, texts }: SegmentFields): Row[] {
  const rows = texts.map(({ name, type, offset, help }): Row => {
    return help === undefined ? [name, type, offset] : [name, type, offset, { help }];
  });
  return [...fields.map(toRow), ...rows];
}

function toRow(field: Field): Row {
  const { name, type, offset, kind, aggregate, unit, help, counter, histogram, le, declared } =
    field;
  const options: FieldOptions = {
    ...(declared.kind && { kind }),
    ...(declared.aggregate && { aggregate }),
    ...(unit !== undefined && { unit }),
    ...(help !== undefined && { help }),
    ...(counter !== undefined && { counter }),
    ...(histogram !== undefined && { histogram }),
    ...(le !== undefined && { le }),
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
): { fields: Field[]; texts: TextField[]; rejected: RejectedRow[] } | null {
  if (!Array.isArray(rows) || rows.length === 0 || rows.length > MAX_ROWS) return null;
  const fields = new Map<string, Field>();
  const texts = new Map<string, TextField>();
  const rejected: RejectedRow[] = [];
  for (const [index, row] of rows.entries()) {
    const problem = rowProblem(row, segmentSize);
    if (problem === null) {
      const [name, type, offset, options] = row as Row;
      if (isTextType(type)) {
        fields.delete(name);
        texts.set(name, makeTextField(name, type, offset, options ?? {}));
      } else {
        texts.delete(name);
        fields.set(name, makeField(name, type, offset, options ?? {}));
      }
    } else {
      const name: unknown = Array.isArray(row) ? row[0] : null;
      rejected.push({
        index,
        name: typeof name === "string" ? printable(name) : null,
        reason: problem.reason,
      });
    }
  }
  return { fields: [...fields.values()], texts: [...texts.values()], rejected };
}

/**
 * Whether `rows` are those of these fields, texts last, as far as {@link parseRows} would tell them
 * apart.
 */
export function rowsAre(rows: unknown, { fields, texts }: SegmentFields): boolean {
  if (!Array.isArray(rows) || rows.length !== fields.length + texts.length) return false;
  return (
    fields.every((field, index) => rowIs(rows[index], field)) &&
    texts.every((text, index) => textRowIs(rows[fields.length + index], text))
  );
}

function textRowIs(row: unknown, { name, type, offset, help }: TextField): boolean {
  if (!Array.isArray(row) || row[0] !== name || row[1] !== type || row[2] !== offset) return false;
  const options: unknown = row[3] ?? {};
  return textOptionsProblem(options) === null && (options as TextOptions).help === help;
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
    said.help === help &&
    said.counter === field.counter &&
    said.histogram === field.histogram &&
    said.le === field.le
  );
}

function rowProblem(row: unknown, segmentSize: number): Problem | null {
  if (!Array.isArray(row) || row.length < 3) {
    const what = Array.isArray(row) ? `${row.length} elements` : shown(row);
    return { error: TypeError, reason: `the row is not [name, type, offset]: ${what}` };
  }
  const [name, type, offset, options]: unknown[] = row;
  const problem =
    nameProblem(name) ??
    (isTextType(type)
      ? textOptionsProblem(options ?? {})
      : optionsProblem(name as string, options ?? {}));
  if (problem !== null) return problem;
  if (!isFieldType(type) && !isTextType(type)) {
    return unknownType(type, [...FIELD_TYPES, TEXT_TYPES]);
  }
  if (typeof offset !== "number" || !Number.isSafeInteger(offset) || offset < 0) {
    const reason = `the offset is not a whole number of bytes: ${shown(offset)}`;
    return { error: RangeError, reason };
  }
  const end = offset + (isTextType(type) ? textSizeOf(type) : sizeOf(type));
  if (end > segmentSize) {
    return { error: RangeError, reason: `it ends at byte ${end}, the segment at ${segmentSize}` };
  }
  return null;
}

function typeProblem(type: unknown): Problem | null {
  if (typeof type !== "string") return notA("type", "string", type);
  if (isFieldType(resolveAlias(type))) return null;
  return unknownType(type, [...FIELD_TYPES, ...FIELD_TYPE_ALIASES, TEXT_TYPES]);
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
