import type { FieldType } from "./field_type.ts";

/** A counter only grows; a gauge goes up and down. */
export type Kind = "counter" | "gauge";

/** How the values of a gauge are combined over the workers of a service. Counters are summed. */
export type Aggregate = "sum" | "min" | "max" | "last";

/** What may be said about a field besides its type. */
export interface FieldOptions {
  /** Default: counter for a name that ends in `_total`, else gauge. */
  readonly kind?: Kind | undefined;
  /** Default: sum. */
  readonly aggregate?: Aggregate | undefined;
  /** The unit of the values, such as `bytes`. */
  readonly unit?: string | undefined;
  /** What the values mean, in a sentence. */
  readonly help?: string | undefined;
}

/** One value of a segment. */
export interface Field<Name extends string = string> {
  readonly name: Name;
  readonly type: FieldType;
  /** In bytes from the start of the segment. */
  readonly offset: number;
  readonly kind: Kind;
  readonly aggregate: Aggregate;
  readonly unit?: string;
  readonly help?: string;
  /** What was said explicitly: where workers disagree, that beats a default. */
  readonly declared: {
    readonly kind: boolean;
    readonly aggregate: boolean;
    readonly unit: boolean;
  };
}

/** A mistake in a field: the error that a local one throws, and a reason to log for a foreign one. */
export interface Problem {
  readonly error: typeof TypeError | typeof RangeError;
  readonly reason: string;
}

/** Names that results give to values of the monitor's own. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(["worker_count", "stalled_count", "heartbeat"]);

const KINDS: readonly unknown[] = ["counter", "gauge"];
const AGGREGATES: readonly unknown[] = ["sum", "min", "max", "last"];

// In bytes of UTF-8. Text of foreign workers is kept for as long as they live.
const MAX_NAME_SIZE = 255;
const MAX_UNIT_SIZE = 255;
const MAX_HELP_SIZE = 4096;

/** Makes a field of values that `nameProblem` and `optionsProblem` have found in order. */
export function makeField<Name extends string>(
  name: Name,
  type: FieldType,
  offset: number,
  options: FieldOptions,
): Field<Name> {
  const { kind, aggregate, unit, help } = options;
  return {
    name,
    type,
    offset,
    kind: kind ?? defaultKind(name),
    aggregate: aggregate ?? "sum",
    ...(unit !== undefined && { unit }),
    ...(help !== undefined && { help }),
    declared: {
      kind: kind !== undefined,
      aggregate: aggregate !== undefined,
      unit: unit !== undefined,
    },
  };
}

/** What is wrong with a name, or null. */
export function nameProblem(name: unknown): Problem | null {
  if (typeof name !== "string") return { error: TypeError, reason: "the name is not a string" };
  if (name === "") return { error: RangeError, reason: "the name is empty" };
  const problem = textProblem("name", name, MAX_NAME_SIZE);
  if (problem !== null) return problem;
  if (RESERVED_NAMES.has(name)) return { error: RangeError, reason: "the name is reserved" };
  return null;
}

/** What is wrong with the options of a field of this name, or null. Unknown options are ignored. */
export function optionsProblem(name: string, options: unknown): Problem | null {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    return { error: TypeError, reason: "the options are not an object" };
  }
  const { kind, aggregate, unit, help }: Readonly<Record<string, unknown>> = { ...options };
  if (kind !== undefined && !KINDS.includes(kind)) {
    return { error: RangeError, reason: `the kind is not one of ${KINDS.join(", ")}` };
  }
  if (aggregate !== undefined && !AGGREGATES.includes(aggregate)) {
    return { error: RangeError, reason: `the aggregate is not one of ${AGGREGATES.join(", ")}` };
  }
  if ((kind ?? defaultKind(name)) === "counter" && (aggregate ?? "sum") !== "sum") {
    return {
      error: RangeError,
      reason: `a counter is summed, its aggregate cannot be ${aggregate}`,
    };
  }
  return textProblem("unit", unit, MAX_UNIT_SIZE) ?? textProblem("help", help, MAX_HELP_SIZE);
}

function textProblem(what: string, text: unknown, limit: number): Problem | null {
  if (text === undefined) return null;
  if (typeof text !== "string") return { error: TypeError, reason: `the ${what} is not a string` };
  const size = Buffer.byteLength(text);
  if (size > limit) {
    return {
      error: RangeError,
      reason: `the ${what} is ${size} bytes long, the limit is ${limit}`,
    };
  }
  if (/\p{Cc}/u.test(text)) {
    return { error: RangeError, reason: `the ${what} contains a control character` };
  }
  return null;
}

function defaultKind(name: string): Kind {
  return name.endsWith("_total") ? "counter" : "gauge";
}
