import { setTimeout as sleep } from "node:timers/promises";
import type { Child } from "../support/child.ts";

/** Ways of a worker to die by SIGKILL: when it rests, when it counts, and in the middle of it. */
const DEATHS: readonly ((child: Child, random: () => number) => unknown)[] = [
  (child) => child.kill(),
  async (child, random) => {
    await child.ask("spin");
    await sleep(random() * 20);
    await child.kill();
  },
  (child) => dieAt(child, "intended"),
  (child) => dieAt(child, "half"),
  (child) => dieAt(child, "stored"),
];

/** Kills a worker in one of these ways. */
export async function kill(child: Child, random: () => number): Promise<void> {
  await DEATHS[Math.floor(random() * DEATHS.length)]!(child, random);
}

/** It never answers: it is gone. */
function dieAt(child: Child, moment: string): Promise<unknown> {
  return child.ask("die", { moment }).catch(() => {});
}
