import { AssertionError } from "node:assert";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";

/** How many inputs are tried with one seed, before the event loop turns. */
const BATCH = 20_000;

/** What came of looking for an input that something does not hold for. */
export interface Finding {
  /** How many inputs were tried. */
  readonly tried: number;
  /** 1 if something was wrong with what came out. */
  readonly lost: number;
  /** 1 if something else was thrown than that. */
  readonly crashed: number;
  /** The smallest failing input that was found, what was wrong, and how to repeat it. */
  readonly failure: string | null;
}

/**
 * Tries a property on `count` inputs, until one fails; that one is made smaller for as long as it
 * fails. Inputs that have `found` something before are tried first.
 */
export async function search<Input>(
  property: fc.IRawProperty<[Input], boolean>,
  { count, seed, found = [] }: { count: number; seed: number; found?: readonly Input[] },
): Promise<Finding> {
  let tried = 0;
  for (let batch = 0; tried < count; batch++) {
    const details = await fc.check(property, {
      seed: (seed + batch) | 0,
      numRuns: Math.min(BATCH, count - tried),
      examples: batch === 0 ? found.map((input): [Input] => [input]) : [],
    });
    tried += details.numRuns;
    if (details.failed) {
      const wrong = details.errorInstance instanceof AssertionError;
      return { tried, lost: wrong ? 1 : 0, crashed: wrong ? 0 : 1, failure: described(details) };
    }
    await turn();
  }
  return { tried, lost: 0, crashed: 0, failure: null };
}

function described<Input>(details: fc.RunDetails<[Input]>): string {
  const { seed, counterexamplePath, counterexample, errorInstance } = details;
  const { message = String(errorInstance), stack = "" } = (errorInstance ?? {}) as Error;
  const place =
    stack
      .split("\n")
      .find((line) => line.startsWith("    at "))
      ?.trim() ?? "";
  const input = fc.stringify(counterexample).slice(0, 4000);
  return `seed ${seed}, path ${counterexamplePath}: ${message} ${place}\n  input: ${input}`;
}
