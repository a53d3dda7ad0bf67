// Names as Prometheus takes them in all its versions.

export const DEFAULT_NAMESPACE = "utilization";

const LONGEST_NAMESPACE = 100;

/** @throws {RangeError} when no name of a metric can begin with it. */
export function checkNamespace(namespace: string): void {
  const isOne = /^([a-z_]\w*)?$/i.test(namespace) && namespace.length <= LONGEST_NAMESPACE;
  if (isOne) return;
  throw new RangeError(
    `Cannot use namespace "${namespace}": letters, digits and "_" are expected, no digit first, at most ${LONGEST_NAMESPACE}`,
  );
}

/** The name of a field in the alphabet of metrics, behind a prefix. */
export function metricName(prefix: string, field: string): string {
  const name = prefix + field;
  return /^[a-z_:][\w:]*$/i.test(name)
    ? name
    : name.replace(/[^\w:]/g, "_").replace(/^(?=\d)/, "_");
}

/** The name of a counter, which has its suffix. */
export function counterName(prefix: string, field: string): string {
  const name = metricName(prefix, field);
  return name.endsWith("_total") ? name : `${name}_total`;
}

/** The name of a label for a field; null where it would be one that Prometheus keeps for itself. */
export function labelName(field: string): string | null {
  const name = field.replace(/\W/g, "_").replace(/^(?=\d)/, "_");
  return name === "" || name === "le" || name.startsWith("__") ? null : name;
}
