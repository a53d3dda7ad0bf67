// Supervisors are killed and started again while their workers count, and some of these die when
// nobody is there to see it: totals neither fall nor lose what was counted.

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Child } from "../support/child.ts";
import { unmapped } from "../support/mapping.ts";
import { randomFrom } from "../support/random.ts";
import { kill } from "./deaths.ts";
import { DEADLINE_MS, Herd } from "./herd.ts";
import { Ledger } from "./ledger.ts";
import { report } from "./report.ts";
import type { Subject } from "./subject.ts";

/** Supervisors that end, how many of them between two checks of everything, and workers. */
const FORMS = {
  short: { ends: 6, between: 3, workers: 6 },
  long: { ends: 110, between: 10, workers: 20 },
} as const;

/** One of so many is stopped as planned, the others are killed. */
const PLANNED_EVERY = 11;
const FIRST_PLANNED = 4;
/** How long a supervisor lives at most, unless everything is checked. */
const LONGEST_LIFE_MS = 600;
/** How many of the supervisors see a worker die, and how many leave one that dies without them. */
const DEATHS_WITH = 0.2;
const DEATHS_WITHOUT = 0.4;

export const subject: Subject = {
  name: "supervisor_kills",
  skip: unmapped,
  hasFault: true,
  async run(form, context) {
    const { ends: atMost, between, workers } = FORMS[form];
    const { folder, seed, fault, note } = context;
    const random = randomFrom(seed);
    const ledger = Ledger.create(join(folder, "ledger"), workers + 2 * atMost);
    const socket = join(folder, "a.ipc");
    const herd = new Herd(socket, ledger);
    const supervisors: Child[] = [];
    const supervise = async (): Promise<Child> => {
      const supervisor = new Child("stress_supervisor");
      supervisors.push(supervisor);
      await supervisor.ask("listen", {
        socket,
        path: join(folder, "a.shm"),
        ledger: ledger.path,
        moving: true,
        everyMs: 10,
        // Of a worker that died as it came it is not known that its process was here.
        leaseMs: 2000,
        fault: fault ? "forget" : undefined,
      });
      return supervisor;
    };
    /** One dies, and another one takes its place. */
    const replace = async (): Promise<void> => {
      const candidates = herd.ready;
      const victim = candidates[Math.floor(random() * candidates.length)];
      if (victim === undefined) return;
      deaths++;
      await herd.end(victim, (child) => kill(child, random));
      herd.add();
    };
    const settle = async (supervisor: Child): Promise<void> => {
      await Promise.all(herd.members.map(({ started }) => started));
      const living = herd.members.length;
      await supervisor.ask("settle", { living, deadlineMs: DEADLINE_MS });
    };

    let deaths = 0;
    let planned = 0;
    try {
      let supervisor = await supervise();
      for (let i = 0; i < workers; i++) herd.add();
      await settle(supervisor);
      // One dies with the first supervisor whatever the chances, and is looked for at once.
      await replace();
      await settle(supervisor);
      let ends = 0;
      // One reading that is wrong is enough: those that follow are wrong for the same reason.
      while (ends < atMost && ledger.wrong === 0) {
        ends++;
        // Most die young: when their workers are about to come back.
        await sleep(random() ** 3 * LONGEST_LIFE_MS);
        if (random() < DEATHS_WITH) await replace();
        if (ends % PLANNED_EVERY === FIRST_PLANNED) {
          planned++;
          await supervisor.ask("close");
        }
        await supervisor.kill();
        if (random() < DEATHS_WITHOUT) await replace();
        supervisor = await supervise();
        if (ends % between === 0) await settle(supervisor);
      }
      await herd.rest();
      await settle(supervisor);
      note(`${planned} of the supervisors were stopped as planned, ${deaths} workers died`);
      note(`${ledger.unfinished} of these deaths were in the middle of an update`);
      const tried = `${ends - planned} kills of the supervisor`;
      return report(tried, ledger, herd, supervisors, note);
    } finally {
      await herd.killAll();
      for (const supervisor of supervisors) await supervisor.kill();
    }
  },
};
