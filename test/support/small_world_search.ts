// Follows every order of steps of a small world, shortest first, and checks each state it reaches.

import { SmallWorld, type SmallWorldOptions } from "./small_world.ts";

export interface SearchOptions extends SmallWorldOptions {
  /** How many steps a path may have. */
  readonly depth: number;
  /**
   * Goes on from one path only of those that lead to the same state. What can follow is a function
   * of the state, so nothing is missed that the state tells; without it every path is followed.
   */
  readonly merge: boolean;
}

export interface SearchResult {
  /** Different states, or paths where they are not merged. */
  readonly states: number;
  /** Steps taken from all of them, and checked. Each new state was also let come to its end. */
  readonly steps: number;
  /** The steps to what was wrong first, and what it was: no shorter path leads to anything wrong. */
  readonly failure: string | null;
}

interface Reached {
  readonly path: readonly string[];
  /** What can happen there. */
  readonly next: readonly string[];
}

/**
 * Takes these steps in a world of their own and checks where they lead; then, if `isNew` says so of
 * that state, lets the world come to its end. Null if it did not.
 *
 * @throws {AssertionError} when something is wrong there.
 */
export async function follow(
  options: SmallWorldOptions,
  path: readonly string[],
  isNew: (world: SmallWorld) => boolean = () => true,
): Promise<Reached | null> {
  const world = await SmallWorld.create(options);
  try {
    for (const name of path) {
      const step = world.steps().get(name);
      if (step === undefined) throw new RangeError(`Cannot take step "${name}" there`);
      await step();
    }
    world.verify();
    if (!isNew(world)) return null;
    const reached = { path, next: [...world.steps().keys()] };
    await world.settle();
    return reached;
  } finally {
    await world.dispose();
  }
}

/** Ends at the first failure. */
export async function search({ depth, merge, ...options }: SearchOptions): Promise<SearchResult> {
  const known = new Set<string>();
  const remember = (world: SmallWorld): boolean => {
    const { size } = known;
    return known.add(world.key()).size > size;
  };
  let states = 0;
  let steps = 0;
  let frontier: Reached[] = [];
  for (let length = 0; length <= depth; length++) {
    const paths =
      length === 0
        ? [[]]
        : frontier.flatMap(({ path, next }) => next.map((step) => [...path, step]));
    frontier = [];
    for (const path of paths) {
      try {
        const reached = await follow(options, path, merge ? remember : undefined);
        steps++;
        if (reached === null) continue;
        states++;
        frontier.push(reached);
      } catch (error) {
        return { states, steps, failure: `${path.join(", ")}: ${(error as Error).message}` };
      }
    }
  }
  return { states, steps, failure: null };
}
