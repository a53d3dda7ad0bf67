// Units as OpenTelemetry writes them: the case-sensitive codes of UCUM.

const CODES: ReadonlyMap<string, string> = new Map([
  ["nanoseconds", "ns"],
  ["microseconds", "us"],
  ["milliseconds", "ms"],
  ["seconds", "s"],
  ["minutes", "min"],
  ["hours", "h"],
  ["days", "d"],
  ["bytes", "By"],
  ["ratio", "1"],
  ["percent", "%"],
  ["celsius", "Cel"],
  ["meters", "m"],
  ["grams", "g"],
  ["joules", "J"],
  ["volts", "V"],
  ["amperes", "A"],
  ["hertz", "Hz"],
]);

/** The code of a unit that is written out; any other is taken to be a code. */
export function unitCode(unit: string): string {
  return CODES.get(unit) ?? unit;
}
