// Workers come, go, die and are cut off for a long time: nothing that supervisor and workers hold
// grows.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Child } from "../support/child.ts";
import { Cuttable } from "../support/cuttable.ts";
import { unmapped } from "../support/mapping.ts";
import { randomFrom } from "../support/random.ts";
import { kill } from "./deaths.ts";
import { DEADLINE_MS, Herd } from "./herd.ts";
import { Ledger } from "./ledger.ts";
import { report } from "./report.ts";
import type { Subject } from "./subject.ts";
import { meanOf, slopeOf, vitalsOf } from "./vitals.ts";

/** Workers, how many of them stay (and are cut off), and how often something happens. */
const FORMS = {
  short: { workers: 6, steady: 2, replaceMs: 250, cutMs: 1000, measureMs: 100 },
  long: { workers: 50, steady: 10, replaceMs: 1000, cutMs: 5000, measureMs: 1000 },
} as const;
const SHORT_MS = 5000;

/** How many of those that leave die; the others say goodbye. */
const DEATHS = 0.7;
/** Until caches are filled and code is compiled: this part of the time is not judged. */
const WARM_UP = 1 / 3;

/**
 * How much each may grow from the end of the warm-up to the end of the run; sizes in KiB. What is
 * resident depends on when memory is given back: within seconds only a flood is seen. Descriptors
 * and windows are exact, and may only be in the middle of a change.
 */
const LIMITS = {
  "supervisor, heap": { short: 4096, long: 2048 },
  "supervisor, resident": { short: 32_768, long: 8192 },
  "supervisor, descriptors": { short: 4, long: 4 },
  "supervisor, regions": { short: 100, long: 30 },
  "supervisor, windows": { short: 1, long: 0.5 },
  "worker, resident": { short: 32_768, long: 4096 },
  "worker, descriptors": { short: 1, long: 0.5 },
  "worker, regions": { short: 100, long: 20 },
  "worker, windows": { short: 0.75, long: 0.5 },
} as const;

type What = keyof typeof LIMITS;

const noProc = !existsSync("/proc/self/maps") && "what processes hold is not to be seen here";

export const subject: Subject = {
  name: "soak",
  skip: unmapped || noProc,
  hasFault: true,
  async run(form, context) {
    const { workers, steady, replaceMs, cutMs, measureMs } = FORMS[form];
    const { folder, seed, fault, minutes, note } = context;
    const durationMs = form === "short" ? SHORT_MS : minutes * 60_000;
    const random = randomFrom(seed);
    const socket = join(folder, "a.ipc");
    const path = join(folder, "a.shm");
    const capacity = workers + Math.ceil(durationMs / replaceMs);
    const ledger = Ledger.create(join(folder, "ledger"), capacity);
    const herd = new Herd(socket, ledger);
    const supervisor = new Child("stress_supervisor");
    const proxyPath = join(folder, "p.ipc");
    const proxy = await Cuttable.listen(proxyPath, socket);

    const moments: number[] = [];
    const series: Record<What, number>[] = [];
    let cuts = 0;
    let leaving: Promise<void> = Promise.resolve();
    try {
      await supervisor.ask("listen", {
        socket,
        path,
        ledger: ledger.path,
        moving: true,
        everyMs: 100,
        // Of a worker that died as it came it is not known that its process was here.
        leaseMs: 2000,
        fault: fault ? "leak" : undefined,
      });
      const stay = Array.from({ length: steady }, () => herd.add(proxyPath));
      while (herd.members.length < workers) herd.add();
      await Promise.all(herd.members.map(({ started }) => started));

      /** One that does not stay leaves, and another one comes. */
      const replace = (): void => {
        const candidates = herd.ready.filter((member) => !stay.includes(member));
        const victim = candidates[Math.floor(random() * candidates.length)];
        if (victim === undefined || herd.count === ledger.capacity) return;
        const dies = random() < DEATHS;
        const end = herd.end(victim, (child) =>
          dies ? kill(child, random) : child.ask("leave").catch(() => {}),
        );
        leaving = leaving.then(() => end);
        herd.add();
      };
      const measure = async (): Promise<void> => {
        const heap = await supervisor.ask<number>("heap");
        const ours = vitalsOf(supervisor.pid, path);
        const theirs = meanOf(stay.map(({ child }) => vitalsOf(child.pid, path)));
        moments.push(performance.now());
        series.push({
          "supervisor, heap": heap,
          "supervisor, resident": ours.resident,
          "supervisor, descriptors": ours.descriptors,
          "supervisor, regions": ours.regions,
          "supervisor, windows": ours.windows,
          "worker, resident": theirs.resident,
          "worker, descriptors": theirs.descriptors,
          "worker, regions": theirs.regions,
          "worker, windows": theirs.windows,
        });
      };
      const started = performance.now();
      const due = [
        { everyMs: measureMs, next: started, action: measure },
        { everyMs: replaceMs, next: started, action: replace },
        {
          everyMs: cutMs,
          next: started,
          action: () => {
            cuts++;
            proxy.cut();
          },
        },
      ];
      while (performance.now() < started + durationMs && herd.problems.length === 0) {
        for (const task of due) {
          if (performance.now() < task.next) continue;
          await task.action();
          task.next = performance.now() + task.everyMs;
        }
        await sleep(Math.max(1, Math.min(...due.map(({ next }) => next)) - performance.now()));
      }
      await leaving;
      await Promise.all(herd.members.map(({ started: registered }) => registered));
      await herd.rest();
      await supervisor.ask("settle", { living: herd.members.length, deadlineMs: DEADLINE_MS });
    } finally {
      await herd.killAll();
      await supervisor.kill();
      proxy.close();
    }

    note(`${cuts} times, ${steady} workers were cut off`);
    const first = Math.floor(moments.length * WARM_UP);
    const hours = moments.slice(first).map((moment) => moment / 3_600_000);
    const length = hours.at(-1)! - hours[0]!;
    let grown = 0;
    for (const [what, { [form]: limit }] of Object.entries(LIMITS)) {
      const values = series.slice(first).map((one) => one[what as What]);
      const slope = slopeOf(hours, values);
      const growth = slope * length;
      const isFlat = growth <= limit;
      if (!isFlat) grown++;
      const [from, to] = [values[0]!, values.at(-1)!].map((value) => value.toFixed(1));
      note(
        `${what}: ${from} to ${to}, slope ${slope.toFixed(1)} an hour, growth ${growth.toFixed(1)} of at most ${limit}${isFlat ? "" : ": IT GROWS"}`,
      );
    }
    const replaced = herd.count - workers;
    const tried = `${(durationMs / 60_000).toFixed(1)} min, ${workers} workers, ${replaced} replaced`;
    const outcome = report(tried, ledger, herd, [supervisor], note);
    return { ...outcome, lost: outcome.lost + grown };
  },
};
