// Interleaved rounds. mitata measures one function well, but it measures one after the other: on a
// machine that others use, two figures taken minutes apart say nothing about each other. So every
// contestant runs for some milliseconds in each round, a ratio is taken within a round, and what is
// reported is the median of these ratios. mitata's `measure` is what times a function in a round.

import { measure } from "mitata";
import { collect } from "./collect.ts";
import type { Settings } from "./settings.ts";

export interface Contestant {
  readonly name: string;
  /** Runs for a while; nanoseconds (or whatever the unit is) of one operation. */
  run(): number | Promise<number>;
}

/** A function of ours: the median time of one call. */
export function timed(name: string, action: () => unknown, settings: Settings): Contestant {
  const options = {
    min_cpu_time: settings.milliseconds * 1e6,
    min_samples: 3,
    batch_samples: 64,
    // A collection before each measurement would have the engine drop code that it has compiled
    // for the other contestants: `interleave` calls for one before each round.
    gc: false,
  };
  return { name, run: async () => (await measure(action, options)).p50 };
}

/** Runs each in turn until the engine has compiled them for good: V8 goes there in three steps. */
export function warmUp({ warmUpMs }: Settings, ...actions: readonly (() => unknown)[]): void {
  const end = performance.now() + warmUpMs * actions.length;
  while (performance.now() < end) for (const action of actions) action();
}

/** Something of which the time is known by itself: the median over calls for some milliseconds. */
export function repeated(
  name: string,
  call: () => number | Promise<number>,
  settings: Settings,
): Contestant {
  return {
    name,
    run: async () => {
      const figures: number[] = [];
      const end = performance.now() + settings.milliseconds;
      do {
        const figure = call();
        figures.push(typeof figure === "number" ? figure : await figure);
      } while (performance.now() < end || figures.length < 3);
      return median(figures);
    },
  };
}

/** The figures of each contestant, one for each round. Each round starts with another one. */
export async function interleave(
  contestants: readonly Contestant[],
  { rounds, warmUpRounds }: Settings,
): Promise<Map<string, number[]>> {
  const figures = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
  for (let round = -warmUpRounds; round < rounds; round++) {
    collect?.();
    for (let i = 0; i < contestants.length; i++) {
      const { name, run } = contestants[(i + round + warmUpRounds) % contestants.length]!;
      const figure = await run();
      if (round >= 0) figures.get(name)!.push(figure);
    }
  }
  return figures;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
