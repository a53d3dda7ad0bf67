// What every check of recorded data returns, and how values of the recording are read.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Value } from "../reference.ts";

export interface CheckResult {
  passed: number;
  /** One line per case that failed. */
  failures: string[];
  /** How many cases of each flavour ran against a rule of ours instead of the recorded result. */
  deviations: Record<string, number>;
}

export function emptyResult(): CheckResult {
  return { passed: 0, failures: [], deviations: {} };
}

/** Runs one case: it passes unless `run` throws. */
export function runCase(result: CheckResult, label: string, run: () => void): void {
  try {
    run();
    result.passed++;
  } catch (error) {
    result.failures.push(`${label}: ${error instanceof Error ? error.message : error}`);
  }
}

export function readGolden<T>(directory: string, file: string): T {
  return JSON.parse(readFileSync(join(directory, file), "utf8")) as T;
}

/** A value as recorded: integers in decimal, floats with their IEEE bits. */
export interface Recorded {
  readonly t: string;
  readonly v?: string;
  readonly bits?: string;
}

export function recordedValue({ t, v, bits }: Recorded): Value {
  if (t === "int") return BigInt(v!);
  if (t !== "float") throw new Error(`unexpected recorded value of type ${t}`);
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${bits}`));
  return view.getFloat64(0);
}

export function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

/** Same type and value; the sign of zero counts, the bits of a NaN do not. */
export function isSame(a: Value | undefined, b: Value): boolean {
  return typeof a === typeof b && Object.is(a, b);
}
