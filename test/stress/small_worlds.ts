// One worker or two, one supervisor, and all that can happen to them, in every order.

import { FAULTS } from "../support/small_world_faults.ts";
import { type SearchOptions, search } from "../support/small_world_search.ts";
import type { Form, Subject } from "./subject.ts";

type World = Pick<SearchOptions, "kinds" | "restarts" | "depth">;

/** Which workers, how many steps deep, and whether the supervisor is killed, closed and started too. */
const WORLDS: Readonly<Record<Form, readonly World[]>> = {
  short: [
    { kinds: ["mapped"], restarts: true, depth: 4 },
    { kinds: ["hidden"], depth: 3 },
    { kinds: ["foreign"], depth: 4 },
    { kinds: ["mapped", "foreign"], depth: 2 },
  ],
  long: [
    { kinds: ["mapped"], depth: 8 },
    { kinds: ["unmapped"], depth: 6 },
    { kinds: ["hidden"], depth: 7 },
    { kinds: ["foreign"], depth: 8 },
    { kinds: ["hidden foreign"], depth: 8 },
    { kinds: ["mapped"], restarts: true, depth: 6 },
    { kinds: ["hidden"], restarts: true, depth: 5 },
    { kinds: ["foreign"], restarts: true, depth: 6 },
    { kinds: ["mapped", "mapped"], depth: 4 },
    { kinds: ["mapped", "foreign"], depth: 4 },
    { kinds: ["hidden", "hidden"], depth: 4 },
    { kinds: ["mapped", "mapped"], restarts: true, depth: 3 },
  ],
};

export const subject: Subject = {
  name: "small_worlds",
  hasFault: true,
  async run(form, { folder, fault, note }) {
    const broken = fault ? { fault: FAULTS["what the dead have counted is dropped"] } : {};
    let steps = 0;
    let states = 0;
    let lost = 0;
    for (const world of WORLDS[form]) {
      const found = await search({ folder, merge: true, ...world, ...broken });
      const { kinds, depth, restarts = false } = world;
      const what = `${kinds.join(" and ")}${restarts ? ", with restarts" : ""}`;
      if (found.failure !== null) {
        lost++;
        note(`${what}: ${found.failure}`);
      } else if (form === "long") {
        note(`${what}: ${found.steps} steps from ${found.states} states, ${depth} deep`);
      }
      steps += found.steps;
      states += found.states;
    }
    return { tried: `${steps} steps from ${states} states`, lost, crashed: 0 };
  },
};
