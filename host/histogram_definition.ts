// How a histogram is declared, and which fields hold it: a counter for each bucket, and the sum.

import { type FieldOptions, nameProblem, notA, type Problem, shown } from "./field.ts";

/** What may be said about a histogram. */
export interface HistogramOptions extends Pick<FieldOptions, "unit" | "help"> {
  /**
   * The inclusive upper bounds of the buckets, ascending, 1 to 64 of them; what is above the last one
   * has a bucket of its own. Default: 0.005 to 10, for seconds.
   */
  readonly buckets?: readonly number[] | undefined;
}

/** A histogram in a `SchemaDefinition`. */
export type HistogramDefinition = "histogram" | (HistogramOptions & { readonly type: "histogram" });

/** Bounds for how long a server takes to answer, in seconds: those of prom-client. */
export const DEFAULT_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

const MOST_BUCKETS = 64;
const OPTIONS: readonly string[] = ["type", "buckets", "unit", "help"];

/** A field of a histogram. */
export interface HistogramField {
  readonly name: string;
  readonly definition: FieldOptions & { readonly type: "u64" | "f64" };
}

/**
 * The fields of a histogram, in order: its buckets, ascending, and the sum.
 *
 * @throws {TypeError | RangeError} that names the histogram, and what is wrong with it.
 */
export function histogramFields(histogram: string, options: HistogramOptions): HistogramField[] {
  const problem = nameProblem(histogram) ?? optionsProblem(options);
  if (problem !== null) {
    throw new problem.error(`Cannot build histogram ${shown(histogram)}: ${problem.reason}`);
  }
  const { buckets = DEFAULT_BUCKETS, unit, help } = options;
  const bounds = [...buckets, Number.POSITIVE_INFINITY];
  const kind = "counter";
  return [
    ...bounds.map((bound): HistogramField => {
      const le = boundText(bound);
      return { name: bucketName(histogram, le), definition: { type: "u64", kind, histogram, le } };
    }),
    { name: `${histogram}_sum`, definition: { type: "f64", kind, histogram, unit, help } },
  ];
}

function bucketName(histogram: string, le: string): string {
  return `${histogram}_bucket_${le === "+Inf" ? "inf" : le}`;
}

function optionsProblem(options: HistogramOptions): Problem | null {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    return { error: TypeError, reason: `the options are not an object: ${shown(options)}` };
  }
  const unknown = Object.keys(options).find((option) => !OPTIONS.includes(option));
  if (unknown !== undefined) {
    const reason = `unknown option ${shown(unknown)}: not one of ${OPTIONS.join(", ")}`;
    return { error: TypeError, reason };
  }
  const buckets: unknown = options.buckets ?? DEFAULT_BUCKETS;
  if (!Array.isArray(buckets)) {
    return { error: TypeError, reason: `the buckets are no array: ${shown(buckets)}` };
  }
  if (buckets.length < 1 || buckets.length > MOST_BUCKETS) {
    const reason = `it has ${buckets.length} buckets, 1 to ${MOST_BUCKETS} are allowed`;
    return { error: RangeError, reason };
  }
  let before = Number.NEGATIVE_INFINITY;
  for (const bound of buckets as unknown[]) {
    if (typeof bound !== "number") return notA("bound", "number", bound);
    if (!Number.isFinite(bound) || bound < 0) {
      return { error: RangeError, reason: `the bound ${bound} is below 0, or not finite` };
    }
    if (bound <= before) {
      return { error: RangeError, reason: `the bounds do not ascend: ${bound} after ${before}` };
    }
    before = bound;
  }
  return null;
}

/** A bound as Prometheus writes it: `0.25`, `10`, `1e-05`, `1e+06`, `+Inf`. */
export function boundText(bound: number): string {
  if (bound === Number.POSITIVE_INFINITY) return "+Inf";
  if (bound === 0) return "0";
  const [digits, exponent] = bound.toExponential().split("e") as [string, string];
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(bound);
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

/** The number that a bound stands for. */
export function boundOf(le: string): number {
  return le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le);
}
