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
  /**
   * Of a gauge of what is going on: the counter that counts each of it, by which a leak is told from
   * rest. Default for a name that ends in `_active`: the same with `_total`. An empty name: none.
   */
  readonly counter?: string | undefined;
  /** Of a counter: the histogram that it is a part of, a bucket if it has {@link le}, else the sum. */
  readonly histogram?: string | undefined;
  /** Of a bucket: its inclusive upper bound, as Prometheus writes it, such as `0.25` or `+Inf`. */
  readonly le?: string | undefined;
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
  readonly counter?: string;
  readonly histogram?: string;
  readonly le?: string;
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

/** What a local definition may say about a field. */
const OPTIONS: readonly string[] = [
  "type",
  "kind",
  "aggregate",
  "unit",
  "help",
  "counter",
  "histogram",
  "le",
];

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
  const { kind, aggregate, unit, help, counter, histogram, le } = options;
  return {
    name,
    type,
    offset,
    kind: kind ?? defaultKind(name),
    aggregate: aggregate ?? "sum",
    ...(unit !== undefined && { unit }),
    ...(help !== undefined && { help }),
    ...(counter !== undefined && { counter }),
    ...(histogram !== undefined && { histogram }),
    ...(le !== undefined && { le }),
    declared: {
      kind: kind !== undefined,
      aggregate: aggregate !== undefined,
      unit: unit !== undefined,
    },
  };
}

/** What is wrong with a name, or null. */
export function nameProblem(name: unknown): Problem | null {
  if (typeof name !== "string") return notA("name", "string", name);
  if (name === "") return { error: RangeError, reason: "the name is empty" };
  const problem = textProblem("name", name, MAX_NAME_SIZE);
  if (problem !== null) return problem;
  if (RESERVED_NAMES.has(name)) {
    const names = [...RESERVED_NAMES].join(", ");
    return { error: RangeError, reason: `the name is reserved, one of ${names}` };
  }
  return null;
}

/**
 * An option of a local definition that does not exist, or null. Those of a foreign worker are
 * ignored: it may be newer.
 */
export function unknownOption(options: object): Problem | null {
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  if (unknown === undefined) return null;
  const reason = `unknown option ${shown(unknown)}: not one of ${OPTIONS.join(", ")}`;
  return { error: TypeError, reason };
}

/** What is wrong with the options of a field of this name, or null. Unknown options are ignored. */
export function optionsProblem(name: string, options: unknown): Problem | null {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    return { error: TypeError, reason: `the options are not an object: ${shown(options)}` };
  }
  const { kind, aggregate, unit, help, counter, histogram, le }: Readonly<Record<string, unknown>> =
    { ...options };
  if (kind !== undefined && !KINDS.includes(kind)) {
    return {
      error: RangeError,
      reason: `the kind is not one of ${KINDS.join(", ")}: ${shown(kind)}`,
    };
  }
  if (aggregate !== undefined && !AGGREGATES.includes(aggregate)) {
    return {
      error: RangeError,
      reason: `the aggregate is not one of ${AGGREGATES.join(", ")}: ${shown(aggregate)}`,
    };
  }
  if ((kind ?? defaultKind(name)) === "counter" && (aggregate ?? "sum") !== "sum") {
    return {
      error: RangeError,
      reason: `a counter is summed, its aggregate cannot be ${aggregate}`,
    };
  }
  if ((kind ?? defaultKind(name)) !== "counter" && histogram !== undefined) {
    return { error: RangeError, reason: "a part of a histogram is a counter, not a gauge" };
  }
  return (
    textProblem("unit", unit, MAX_UNIT_SIZE) ??
    textProblem("help", help, MAX_HELP_SIZE) ??
    textProblem("counter", counter, MAX_NAME_SIZE) ??
    textProblem("histogram", histogram, MAX_NAME_SIZE) ??
    boundProblem(histogram, le)
  );
}

function boundProblem(histogram: unknown, le: unknown): Problem | null {
  if (le === undefined) return null;
  if (typeof le !== "string") return notA("bound le", "string", le);
  if (histogram === undefined) {
    return { error: RangeError, reason: `the bound le is of no histogram: ${shown(le)}` };
  }
  if (le === "+Inf" || (le !== "" && Number.isFinite(Number(le)))) return null;
  return { error: RangeError, reason: `the bound le is no number and not +Inf: ${shown(le)}` };
}

function textProblem(what: string, text: unknown, limit: number): Problem | null {
  if (text === undefined) return null;
  if (typeof text !== "string") return notA(what, "string", text);
  const size = Buffer.byteLength(text);
  if (size > limit) {
    return {
      error: RangeError,
      reason: `the ${what} is ${size} bytes long, the limit is ${limit}`,
    };
  }
  const control = /\p{Cc}/u.exec(text);
  if (control !== null) {
    const code = text.charCodeAt(control.index).toString(16).padStart(4, "0");
    return { error: RangeError, reason: `the ${what} contains control character U+${code}` };
  }
  return null;
}

/** A value is of another type than it must be. */
export function notA(what: string, type: string, value: unknown): Problem {
  return { error: TypeError, reason: `the ${what} is not a ${type}: ${shown(value)}` };
}

/** Any value, also a foreign one, for a message: on one line, and not long. */
export function shown(value: unknown): string {
  if (typeof value === "string") return `"${printable(value)}"`;
  if (Array.isArray(value)) return "an array";
  if (value === null) return "null";
  if (typeof value === "object") return "an object";
  // A bigint that a stranger sent may have any number of digits.
  return ["number", "boolean", "undefined"].includes(typeof value)
    ? String(value)
    : `a ${typeof value}`;
}

/** What moves a terminal's cursor, ends a line, or turns the direction in which it is read. */
export const CONTROLS: RegExp = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** Foreign text for a log line: on one line, and not long. */
export function printable(text: string): string {
  const short = text.length > 64 ? `${text.slice(0, 64)}…` : text;
  return short.replaceAll(CONTROLS, "\ufffd");
}

function defaultKind(name: string): Kind {
  return name.endsWith("_total") ? "counter" : "gauge";
}
