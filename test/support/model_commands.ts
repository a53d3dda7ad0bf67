// The steps of the model test, as fast-check makes them up and makes fewer of them.

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { collect } from "./collect.ts";
import type { ModelField } from "./model.ts";
import { fitted, type Reply, World, type WorldSettings } from "./model_world.ts";

type State = Record<string, never>;
type Command = fc.AsyncCommand<State, World>;

/** Aligned, packed, big-endian, of floats, and without a counter. Names mean the same in each. */
const SCHEMAS: readonly (readonly ModelField[])[] = [
  [
    { name: "requests_total", type: "u64", offset: 0 },
    { name: "requests_active", type: "u32", offset: 8 },
  ],
  [
    { name: "requests_active", type: "u32", offset: 0 },
    { name: "bytes_total", type: "u64", offset: 4 },
    { name: "last", type: "S8", offset: 12, aggregate: "last" },
  ],
  [
    { name: "requests_total", type: "U64", offset: 16 },
    { name: "least", type: "s16", offset: 2, aggregate: "min" },
    { name: "most", type: "S64", offset: 1000, aggregate: "max" },
    { name: "balance_total", type: "s32", offset: 4 },
  ],
  [{ name: "seconds_total", type: "f64", offset: 8 }],
  [{ name: "requests_active", type: "U16", offset: 1022 }],
];

const REPLIES: readonly Reply[] = ["has none", "refuses", "breaks off"];
const SEED = fc.oneof(
  fc.bigInt({ min: 0n, max: 20n }),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const SEEDS = fc.array(SEED, { minLength: 1, maxLength: 4 });
const CONTENT = fc.tuple(fc.constantFrom(...SCHEMAS), SEEDS);
const WHICH = fc.nat(30);
const REPLY: fc.Arbitrary<Reply> = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Reply>("answers") },
  { weight: 2, arbitrary: fc.constant<Reply>("waits") },
  { weight: 1, arbitrary: fc.constantFrom(...REPLIES) },
);

/** A command that does something to the world. Afterwards all is compared. */
function command<Arguments extends readonly unknown[]>(
  name: string,
  argument: fc.Arbitrary<Arguments>,
  run: (world: World, ...argument: Arguments) => void | Promise<void>,
): fc.Arbitrary<Command> {
  return argument.map((values) => ({
    check: () => true,
    run: async (_state, world) => {
      await run(world, ...values);
      world.check();
    },
    toString: () => `${name}(${values.map((value) => fc.stringify(value)).join(", ")})`,
  }));
}

const REGISTER = command(
  "register",
  fc.tuple(fc.constantFrom("web", "api", "jobs"), CONTENT, fc.boolean(), REPLY),
  (world, service, [fields, seeds], identified, reply) =>
    world.register(service, { fields, values: fitted(fields, seeds) }, identified, reply),
);
const RETURN = command(
  "return",
  fc.tuple(WHICH, CONTENT, REPLY),
  (world, which, content, reply) => {
    const [fields, seeds] = content;
    return world.return(which, { fields, values: fitted(fields, seeds) }, reply);
  },
);
const ANSWER = fc.constant<Reply>("answers");
const LATE_REPLY = command(
  "reply",
  fc.tuple(WHICH, fc.oneof(ANSWER, ANSWER, fc.constantFrom(...REPLIES))),
  (world, which, reply) => world.reply(which, reply),
);
const COUNT = command("count", fc.tuple(WHICH, SEEDS), (world, which, seeds) =>
  world.count(which, seeds),
);
const REMOVE = command("remove", fc.tuple(WHICH), (world, which) => world.remove(which));
const UNREGISTER = command("unregister", fc.tuple(WHICH), (world, which) =>
  world.unregister(which),
);
const WAIT = command("wait", fc.tuple(fc.constantFrom(1, 300, 500, 1000)), (world, ms) =>
  world.wait(ms),
);
const RESTART = command("restart", fc.tuple(), (world) => world.restart());

const COMMANDS = fc.commands(
  [REGISTER, REGISTER, RETURN, LATE_REPLY, COUNT, COUNT, REMOVE, REMOVE, UNREGISTER, WAIT, RESTART],
  { maxCommands: 40, size: "max" },
);

const SETTINGS: fc.Arbitrary<WorldSettings> = fc.record({
  segments: fc.integer({ min: 1, max: 4 }),
  pages: fc.integer({ min: 1, max: 4 }),
  reuseDelayMs: fc.constantFrom(0, 0, 400),
  mapping: fc.constantFrom<WorldSettings["mapping"]>(undefined, "none"),
});

export interface ModelCounts {
  runs: number;
  commands: number;
}

export interface ModelOptions {
  /** Whether one retirement is dropped, which is to be noticed. */
  readonly fault?: boolean;
  /** Is told how much was done. */
  readonly counts?: ModelCounts;
}

/** Each core reserves address space, of which the engine does not know that it runs out. */
const RUNS_BEFORE_COLLECTING = 100;

/** A monitor tells what the model does after each of some commands, whichever they are. */
export function modelProperty(
  folder: string,
  { fault = false, counts = { runs: 0, commands: 0 } }: ModelOptions = {},
): fc.IRawProperty<[readonly [WorldSettings, Iterable<Command>]], boolean> {
  return fc.asyncProperty(fc.tuple(SETTINGS, COMMANDS), async ([settings, commands]) => {
    const own = mkdtempSync(join(folder, "model-"));
    const world = new World(own, settings);
    counts.runs++;
    try {
      await world.open();
      if (fault) world.dropRetirement();
      await fc.asyncModelRun(() => ({ model: {}, real: world }), counted(commands, counts));
    } finally {
      await world.close();
      rmSync(own, { recursive: true, force: true });
      if (counts.runs % RUNS_BEFORE_COLLECTING === 0) collect();
    }
  });
}

function counted(commands: Iterable<Command>, counts: ModelCounts): Iterable<Command> {
  return {
    *[Symbol.iterator]() {
      for (const command of commands) {
        counts.commands++;
        yield command;
      }
    },
  };
}
