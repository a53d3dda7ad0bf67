// JSON in which integers may have more digits than a number holds.

/** A string, to be skipped; or an integer that may be too long. */
const TOKENS = /"(?:[^"\\]|\\.)*"|(?<![\d.])-?\d{16,}(?![\d.eE])/g;

/** Parses JSON in which no value that matters is an array of one string: such are bigints then. */
export function parseExact(json: string): unknown {
  const tagged = json.replace(TOKENS, (token) => (token.startsWith('"') ? token : `["${token}"]`));
  return JSON.parse(tagged);
}

/** A number of such JSON: null is what JSON cannot say, NaN or an infinity. */
export function exactNumber(value: unknown): number | bigint {
  if (typeof value === "number") return value;
  return Array.isArray(value) && value.length === 1 && typeof value[0] === "string"
    ? BigInt(value[0])
    : Number.NaN;
}
