// JSON in which integers keep their digits.

/** @typedef {number | bigint | null} Value a number as the supervisor wrote it. */

/**
 * `JSON.parse`, with a bigint for each integer that a number cannot hold. Browsers that do not show
 * the source of a number round it.
 *
 * @param {string} text
 * @returns {any}
 */
export function parseExactly(text) {
  /** @type {(this: any, key: string, value: any, context?: {source?: string}) => any} */
  const revive = (_, value, context) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    const source = context?.source ?? "";
    return /^-?\d+$/.test(source) ? BigInt(source) : value;
  };
  return JSON.parse(text, revive);
}
