// Numbers for people, short enough for a column: at most seven characters.

type Value = number | bigint;

/** What a number is, as far as the name of its field says. */
export type Unit = "plain" | "bytes" | "seconds" | "share";

/** A gauge of a worker between 0 and 1, whose sum divided by the workers is the service's. */
export function isShare(field: string): boolean {
  return /_(utilization|ratio)$/.test(field);
}

export function unitOf(field: string): Unit {
  if (isShare(field)) return "share";
  if (/(^|_)bytes(_|$)/.test(field)) return "bytes";
  if (/(^|_)seconds(_total)?$/.test(field)) return "seconds";
  return "plain";
}

/** The unit of its rate per second: seconds per second are a share of the time. */
export function rateUnitOf(field: string): Unit {
  const unit = unitOf(field);
  return unit === "seconds" ? "share" : unit;
}

const FORMATS: Readonly<Record<Unit, (value: number) => string>> = {
  plain: decimal,
  bytes,
  seconds,
  share: (value) => `${decimal(value * 100, 1)}%`,
};

export function formatValue(value: Value, unit: Unit): string {
  const number = Number(value);
  if (Number.isNaN(number)) return "?";
  const text = FORMATS[unit](Math.abs(number));
  return number < 0 && /[1-9∞]/.test(text) ? `-${text}` : text;
}

/** For how long something has lasted, in its largest unit: 4s, 12m, 3h, 2d. */
export function formatDuration(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const DECIMAL_PREFIXES = ["", "k", "M", "G", "T", "P", "E"];
const BINARY_PREFIXES = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/** Up to here all digits are shown. */
const LONGEST = 100_000;

function decimal(value: number, digits = 2): string {
  if (value < LONGEST) return value >= 1000 ? grouped.format(value) : rounded(value, digits);
  return prefixed(value, 1000, DECIMAL_PREFIXES) ?? value.toExponential(1).replace("+", "");
}

function bytes(value: number): string {
  const text = prefixed(value, 1024, BINARY_PREFIXES);
  return text === null ? value.toExponential(1).replace("+", "") : `${text}B`;
}

function seconds(value: number): string {
  if (value === 0 || value >= 1) return `${decimal(value)}s`;
  const [scaled, unit] = value < 0.001 ? [value * 1e6, "us"] : [value * 1e3, "ms"];
  return `${rounded(scaled, 1)}${unit}`;
}

/** With three digits, and a prefix that says how large it is. Null where there is none. */
function prefixed(value: number, step: number, prefixes: readonly string[]): string | null {
  let power = 0;
  let left = value;
  // What would be rounded up to the next prefix has it.
  while (left >= step - 0.5 && power < prefixes.length) {
    left /= step;
    power++;
  }
  return power < prefixes.length ? `${rounded(left, 2)}${prefixes[power]}` : null;
}

/** Fewer digits after the point the larger it is; none for whole numbers. */
function rounded(value: number, digits: number): string {
  if (value === Number.POSITIVE_INFINITY) return "∞";
  if (Number.isInteger(value)) return String(value);
  return value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? Math.min(digits, 1) : digits);
}
