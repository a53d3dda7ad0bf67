import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ownFolder, temporaryFolder } from "./support/folder.ts";
import type { Content, ModelField } from "./support/model.ts";
import { modelProperty } from "./support/model_commands.ts";
import { type Reply, World, type WorldSettings } from "./support/model_world.ts";
import { search } from "./support/search.ts";

const LIMIT = { timeout: 120_000 };

describe("UtilizationMonitor against a model of lifetimes", LIMIT, () => {
  const folder = ownFolder();

  for (const seed of [1, 2, 3]) {
    it(`tells what the model does after each step (seed ${seed})`, async () => {
      const { failure } = await search(modelProperty(folder), { count: 60, seed });
      assert.equal(failure, null);
    });
  }

  it("would not, if one retirement were dropped", async () => {
    const { lost, crashed } = await search(modelProperty(folder, { fault: true }), {
      count: 60,
      seed: 1,
    });
    assert.deepEqual({ lost, crashed }, { lost: 1, crashed: 0 });
  });
});

const SETTINGS: WorldSettings = { segments: 2, pages: 2, reuseDelayMs: 0, mapping: undefined };
const FIELDS: readonly ModelField[] = [
  { name: "requests_total", type: "u64", offset: 0 },
  { name: "requests_active", type: "u32", offset: 8 },
];

/** A worker that has counted so much. */
function counted(total: bigint, active = 0n): Content {
  return { fields: FIELDS, values: [total, active] };
}

interface Case {
  readonly settings?: Partial<WorldSettings>;
  readonly steps: readonly ((world: World) => void | Promise<void>)[];
}

const registers =
  (total: bigint, reply: Reply = "answers", identified = true) =>
  (world: World): Promise<void> =>
    world.register("web", counted(total), identified, reply);

/** Sequences in which it matters what came first, as short as they can be. */
const CASES: Readonly<Record<string, Case>> = {
  "a worker that is back before its old connection ends": {
    steps: [registers(5n), (w) => w.return(0, counted(7n), "answers"), (w) => w.remove(0)],
  },
  "a worker that is back after it was retired": {
    steps: [
      registers(5n),
      (w) => w.unregister(0),
      (w) => w.return(0, counted(6n), "answers"),
      (w) => w.unregister(1),
    ],
  },
  "a worker whose connection ends before it answers": {
    steps: [registers(5n, "waits"), (w) => w.remove(0), (w) => w.reply(0, "answers")],
  },
  "a worker that breaks off and comes back": {
    steps: [registers(5n, "breaks off"), (w) => w.return(0, counted(5n), "answers")],
  },
  "a lease that ends without a return": {
    steps: [registers(5n, "answers", false), (w) => w.remove(0), (w) => w.wait(1000)],
  },
  "a segment that rests before it is handed out again": {
    settings: { segments: 4, pages: 1, reuseDelayMs: 400 },
    steps: [
      ...Array.from({ length: 4 }, () => registers(1n)),
      (w) => w.remove(0),
      (w) => w.wait(1000),
      registers(1n),
      (w) => w.wait(400),
      registers(1n),
    ],
  },
  "a worker that counts while its supervisor is another one": {
    steps: [
      registers(5n),
      (w) => w.restart(),
      (w) => w.count(0, [9n, 1n]),
      (w) => w.return(0, counted(9n), "answers"),
    ],
  },
  "a retired worker that returns to the next supervisor": {
    steps: [
      registers(5n),
      (w) => w.unregister(0),
      (w) => w.restart(),
      (w) => w.return(0, counted(8n), "answers"),
    ],
  },
  "workers that die while a supervisor is down": {
    steps: [registers(2n ** 64n - 1n), registers(2n), (w) => w.restart(), (w) => w.wait(1000)],
  },
  "a total that wraps around nothing on the way out": {
    steps: [
      registers(2n ** 64n - 1n),
      registers(2n ** 64n - 1n),
      (w) => w.unregister(0),
      (w) => w.unregister(1),
      (w) => w.return(0, counted(0n), "answers"),
    ],
  },
};

describe("the model holds step by step for", LIMIT, () => {
  for (const [what, { settings, steps }] of Object.entries(CASES)) {
    it(what, async (t) => {
      const world = new World(temporaryFolder(t), { ...SETTINGS, ...settings });
      await world.open();
      try {
        for (const step of steps) {
          await step(world);
          world.check();
        }
      } finally {
        await world.close();
      }
    });
  }
});
