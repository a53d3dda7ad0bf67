import { setTimeout as sleep } from "node:timers/promises";

/** Waits for a condition, and returns what it found. Fails after a time that no machine needs. */
export async function until<Found>(
  condition: () => Found | Promise<Found>,
  what: string,
  deadlineMs = 20_000,
): Promise<Exclude<Found, null | undefined | false>> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const found = await condition();
    if (found !== null && found !== undefined && found !== false) {
      return found as Exclude<Found, null | undefined | false>;
    }
    if (performance.now() > deadline) throw new Error(`Waited in vain: ${what}`);
    await sleep(5);
  }
}
