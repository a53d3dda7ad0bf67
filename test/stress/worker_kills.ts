// Workers die by SIGKILL in the middle of all they do, and others take their place: each counter is
// in every reading exactly once.

import { join } from "node:path";
import { Child } from "../support/child.ts";
import { unmapped } from "../support/mapping.ts";
import { randomFrom } from "../support/random.ts";
import { until } from "../support/until.ts";
import { kill } from "./deaths.ts";
import { DEADLINE_MS, Herd } from "./herd.ts";
import { Ledger } from "./ledger.ts";
import { report } from "./report.ts";
import type { Subject } from "./subject.ts";

/** Deaths, the fewest workers that are alive at any time, and how many die at a time. */
const FORMS = {
  short: { deaths: 20, floor: 8, spare: 3 },
  long: { deaths: 200, floor: 30, spare: 6 },
} as const;

export const subject: Subject = {
  name: "worker_kills",
  skip: unmapped,
  hasFault: true,
  async run(form, context) {
    const { deaths: atMost, floor, spare } = FORMS[form];
    const { folder, seed, fault, note } = context;
    const random = randomFrom(seed);
    const socket = join(folder, "a.ipc");
    const path = join(folder, "a.shm");
    const ledger = Ledger.create(join(folder, "ledger"), floor + spare + atMost);
    const supervisor = new Child("stress_supervisor");
    const herd = new Herd(socket, ledger);
    try {
      await supervisor.ask("listen", {
        socket,
        path,
        ledger: ledger.path,
        moving: false,
        everyMs: 10,
        reuseDelayMs: 0,
        // Of a worker that died as it came it is not known that its process was here.
        leaseMs: 2000,
        fault: fault ? "forget" : undefined,
      });
      for (let i = 0; i < floor + spare; i++) herd.add();
      await Promise.all(herd.members.map(({ started }) => started));

      let fewest = herd.ready.length;
      const dying = new Set<Promise<void>>();
      let deaths = 0;
      // One reading that is wrong is enough: those that follow are wrong for the same reason.
      for (; deaths < atMost && ledger.wrong === 0; deaths++) {
        await until(() => herd.ready.length > floor, "there are workers to spare", DEADLINE_MS);
        const candidates = herd.ready;
        const victim = candidates[Math.floor(random() * candidates.length)]!;
        const death = herd.end(victim, (child) => kill(child, random));
        fewest = Math.min(fewest, herd.ready.length);
        dying.add(death);
        void death.finally(() => dying.delete(death));
        herd.add();
      }
      await Promise.all(dying);
      await Promise.all(herd.members.map(({ started }) => started));
      await herd.rest();
      await supervisor.ask("settle", { living: herd.ready.length, deadlineMs: DEADLINE_MS });
      note(`at least ${fewest} workers alive at any time`);
      note(`${ledger.unfinished} of ${deaths} deaths were in the middle of an update`);
      return report(`${deaths} deaths`, ledger, herd, [supervisor], note);
    } finally {
      await herd.killAll();
      await supervisor.kill();
    }
  },
};
