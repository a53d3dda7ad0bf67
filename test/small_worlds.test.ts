// Every order of a few steps of one worker and one supervisor. The deeper searches, and those with
// two workers, are in stress/small_worlds.ts.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { temporaryFolder } from "./support/folder.ts";
import { KINDS } from "./support/small_world.ts";
import { FAULTS } from "./support/small_world_faults.ts";
import { follow, search } from "./support/small_world_search.ts";

const LIMIT = { timeout: 120_000 };
type Kind = keyof typeof KINDS;

/** The shortest orders of steps that once led to something wrong, or would with a likely mistake. */
const ONCE_WRONG: readonly (readonly [what: string, kind: Kind, path: string])[] = [
  [
    "a segment that rests hides the fresh ones behind it",
    "mapped",
    "A.attach, A.attach, A.leave, A.attach",
  ],
  [
    "a foreign worker dies between its answer and our reading it",
    "foreign",
    "A.attach, A.store, A.drop, A.ask, A.answer, A.die, A.deliver",
  ],
  [
    "another process has its number by then",
    "foreign",
    "A.attach, A.store, A.drop, A.ask, A.answer, A.die, A.spawn, A.deliver",
  ],
  [
    "a worker is seen to be dead before its answer is read",
    "mapped",
    "A.attach, A.ask, A.store, A.answer, A.drop, A.die, check, A.deliver",
  ],
  [
    "a foreign worker is seen to be dead before its answer is read",
    "foreign",
    "A.attach, A.store, A.drop, A.ask, A.answer, A.die, check, A.deliver",
  ],
  [
    "its retired counters are forgotten before its answer is read",
    "mapped",
    "A.attach, A.store, A.leave, A.ask, A.answer, A.die, check, A.deliver",
  ],
  [
    "a worker lets go of the file that it was seen to map when its connection was lost",
    "mapped",
    "A.attach, A.store, A.drop, check, A.leave, check",
  ],
  [
    "it does so while no supervisor is there",
    "mapped",
    "A.attach, A.store, A.drop, check, kill, A.leave, start",
  ],
];

describe("totals() in every order of steps", () => {
  for (const kind of Object.keys(KINDS) as Kind[]) {
    it(`is exact with a worker that is ${kind}`, LIMIT, async (t) => {
      const options = { folder: temporaryFolder(t), kinds: [kind], restarts: true } as const;
      const paths = await search({ ...options, depth: 2, merge: false });
      assert.equal(paths.failure, null);
      const states = await search({ ...options, depth: 3, merge: true });
      assert.equal(states.failure, null);
      t.diagnostic(`${paths.states} paths of 2 steps, ${states.states} states 3 steps deep`);
    });
  }

  for (const [what, kind, path] of ONCE_WRONG) {
    it(`is exact when ${what}`, LIMIT, async (t) => {
      const options = { folder: temporaryFolder(t), kinds: [kind], restarts: true };
      const steps = path.split(", ");
      for (let count = 1; count <= steps.length; count++) {
        await follow(options, steps.slice(0, count));
      }
    });
  }
});

describe("a search of small worlds", () => {
  for (const [name, fault] of Object.entries(FAULTS)) {
    it(`notices that ${name}`, LIMIT, async (t) => {
      const options = { folder: temporaryFolder(t), kinds: ["hidden"], depth: 4, fault } as const;
      const { failure } = await search({ ...options, merge: true });
      assert.notEqual(failure, null);
      t.diagnostic(failure!);
    });
  }
});
