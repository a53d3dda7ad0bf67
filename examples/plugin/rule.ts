// The rule, in the language that TypeScript and AssemblyScript share: one source for the plug-in in
// workerd, which runs it as JavaScript, and for the plug-in in Extism, which has it compiled in.

/** Up to this part of its capacity a service takes every request. */
const COMFORTABLE = 0.75;

/** A copy of the segments that is older says nothing about now. */
const STALE_MS = 1000;

/**
 * Which part of the requests to turn away, from 0 to 1: none while the service is comfortable, all
 * when it is full, and in between in proportion. A proportion needs no memory of what was decided
 * before, and does not swing to and fro as a single threshold would.
 *
 * Nobody is turned away where there is nothing to protect (no workers) or nothing is known (a stale
 * copy, a value that is no number, no capacity): a gateway must not close because its gauge broke.
 *
 * @param active requests that the workers are busy with, all together.
 * @param workers how many there are.
 * @param capacity requests that one worker can be busy with.
 * @param ageMs how old the copy of the segments is.
 */
export function shedFraction(
  active: number,
  workers: number,
  capacity: number,
  ageMs: number,
): number {
  if (!(ageMs >= 0 && ageMs <= STALE_MS && capacity > 0)) return 0;
  const utilization = active / (capacity * workers);
  if (!(utilization > COMFORTABLE)) return 0;
  return Math.min(1, (utilization - COMFORTABLE) / (1 - COMFORTABLE));
}
