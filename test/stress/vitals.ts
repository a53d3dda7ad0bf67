// What a process holds, and whether that grows.

import { readdirSync, readFileSync } from "node:fs";

/** What a process holds. */
export interface Vitals {
  /** Resident memory, in KiB. */
  readonly resident: number;
  readonly descriptors: number;
  /** Mapped regions, and those of them that are of the shared file, also of one that was unlinked. */
  readonly regions: number;
  readonly windows: number;
}

export type Vital = keyof Vitals;

/** Reads it from /proc. */
export function vitalsOf(pid: number, file: string): Vitals {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const regions = readFileSync(`/proc/${pid}/maps`, "utf8").trimEnd().split("\n");
  return {
    resident: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    regions: regions.length,
    windows: regions.filter((region) => region.includes(file)).length,
  };
}

/** The mean of several processes. */
export function meanOf(all: readonly Vitals[]): Vitals {
  const mean = (vital: Vital): number =>
    all.reduce((total, vitals) => total + vitals[vital], 0) / all.length;
  return {
    resident: mean("resident"),
    descriptors: mean("descriptors"),
    regions: mean("regions"),
    windows: mean("windows"),
  };
}

/** How steeply the values rise with the moments, by least squares: the slope of the best line. */
export function slopeOf(moments: readonly number[], values: readonly number[]): number {
  const mean = (numbers: readonly number[]): number =>
    numbers.reduce((total, number) => total + number, 0) / numbers.length;
  const middle = mean(moments);
  const level = mean(values);
  let together = 0;
  let alone = 0;
  moments.forEach((moment, i) => {
    together += (moment - middle) * (values[i]! - level);
    alone += (moment - middle) ** 2;
  });
  return together / alone;
}
