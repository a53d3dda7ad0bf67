// Numbers and times for people.

/** @import { Value } from "./json.js" */

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const fraction = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
const significant = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const compact = new Intl.NumberFormat("en-US", {
  notation: "compact",
  maximumSignificantDigits: 3,
});

/** What JSON could not say: NaN or an infinity. */
const NO_NUMBER = "not a number";

/**
 * All digits of an integer, some of a fraction.
 *
 * @param {Value | undefined} value
 */
export function exact(value) {
  if (value === undefined) return "";
  if (value === null) return NO_NUMBER;
  if (typeof value === "bigint" || Number.isInteger(value)) return whole.format(value);
  return Math.abs(value) < 1 ? significant.format(value) : fraction.format(value);
}

/** @param {number} value */
function short(value) {
  if (Math.abs(value) >= 1e6) return compact.format(value);
  if (Math.abs(value) >= 100) return whole.format(value);
  return significant.format(value);
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** @param {number} bytes */
function ofBytes(bytes) {
  const power = Math.floor(Math.log2(Math.max(1, Math.abs(bytes))) / 10);
  const index = Math.min(BYTE_UNITS.length - 1, power);
  return { number: short(bytes / 1024 ** index), unit: BYTE_UNITS[index] ?? "" };
}

/** @param {number} seconds */
function ofSeconds(seconds) {
  if (seconds !== 0 && Math.abs(seconds) < 1) {
    return { number: significant.format(seconds * 1000), unit: "ms" };
  }
  return { number: short(seconds), unit: "s" };
}

/** @typedef {"count" | "bytes" | "seconds" | "ratio"} Quantity what is counted or measured. */

/**
 * A number that is easily read, and its unit.
 *
 * @param {Value | undefined} value
 * @param {Quantity} quantity
 * @returns {{number: string, unit: string}}
 */
export function readable(value, quantity) {
  if (value === undefined || value === null) {
    return { number: value === null ? NO_NUMBER : "–", unit: "" };
  }
  const number = Number(value);
  switch (quantity) {
    case "bytes":
      return ofBytes(number);
    case "seconds":
      return ofSeconds(number);
    case "ratio":
      return { number: significant.format(number * 100), unit: "%" };
    default:
      return { number: typeof value === "bigint" ? compact.format(value) : short(value), unit: "" };
  }
}

/**
 * @param {Value | undefined} value
 * @param {Quantity} quantity
 * @param {string} [per]
 */
export function readableText(value, quantity, per = "") {
  const { number, unit } = readable(value, quantity);
  return `${number}${unit === "" || unit === "%" ? unit : ` ${unit}`}${per}`;
}

/** @param {number} count @param {string} noun */
export function counted(count, noun) {
  return `${whole.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Seconds, as short as they are interesting. @param {number} seconds */
export function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** Of the day. @param {number} seconds since 1970. */
export function clock(seconds) {
  return new Date(seconds * 1000).toTimeString().slice(0, 8);
}
