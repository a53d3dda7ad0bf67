// One supervisor, workers of several runtimes, with and without a mapping, on one file.
import assert from "node:assert/strict";
import { it } from "node:test";
import { isDeno, otherRuntime, type Runtime } from "./support/runtime.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 120_000 };
/** Each says itself how it maps. */
const UNFORCED = { UTILIZATION_MAPPING: "" };

interface Party {
  readonly name: string;
  /** Undefined: the one that runs the tests. */
  readonly runtime: Runtime | undefined;
  readonly mapping: "none" | undefined;
}

async function parties(): Promise<Party[]> {
  const deno = await otherRuntime("deno");
  const newest = await otherRuntime("node26");
  return [
    { name: "this", runtime: undefined, mapping: undefined },
    { name: "this-unmapped", runtime: undefined, mapping: "none" },
    { name: "node26", runtime: newest, mapping: undefined },
    { name: "deno", runtime: deno, mapping: undefined },
    { name: "deno-unmapped", runtime: deno, mapping: "none" },
  ];
}

type Sums = Record<string, Record<string, number>>;

const all = isDeno
  ? "Node starts it, with Deno in it"
  : await parties().catch((error: Error) => error.message);

if (typeof all === "string") it("serves workers of every runtime", { skip: all });
else for (const supervising of all) serves(supervising, all);

function serves(supervising: Party, all: readonly Party[]): void {
  it(`a supervisor of ${supervising.name} serves workers of every kind`, LIMIT, async (t) => {
    const scene = new Scene(t);
    const { socket, file: path } = scene;
    const supervisor = scene.child("supervisor_process", UNFORCED, supervising.runtime);
    const seen = await supervisor.ask("listen", { socket, path, mapping: supervising.mapping });
    if (supervising.mapping === "none") assert.equal(seen, "none");
    if (supervising.name === "deno") assert.equal(seen, "deno");

    const workers = await Promise.all(
      all.map(async ({ name, runtime, mapping }, index) => {
        const worker = scene.child("worker_process", UNFORCED, runtime);
        const schema = { requests_total: "u64", requests_active: "u32" };
        await worker.ask("open", { name, schema, socket, mapping, flushMs: 5 });
        await worker.ask("add", { by: 1000 + index });
        await worker.ask("add", { field: "requests_active", by: index });
        return worker;
      }),
    );
    const sample = () => supervisor.ask<Sums>("sample");
    const wanted = Object.fromEntries(
      all.map(({ name }, index) => [
        name,
        { requests_total: 1000 + index, requests_active: index, worker_count: 1 },
      ]),
    );
    await until(async () => {
      const sums = await sample();
      return all.every(({ name }, index) => sums[name]?.requests_total === 1000 + index);
    }, "every worker is read");
    assert.deepEqual(sorted(await sample()), sorted(wanted));

    // What a killed one had counted stays, whichever runtime it was.
    for (const worker of workers) await worker.kill();
    await until(async () => {
      const { detachedCount } = await supervisor.ask<{ detachedCount: number }>("counts");
      return Object.keys(await sample()).length === 0 && detachedCount === 0;
    }, "every worker is retired");
    const totals = await supervisor.ask<Sums>("totals");
    for (const [index, { name }] of all.entries()) {
      assert.deepEqual(totals[name], { requests_total: 1000 + index, worker_count: 0 });
    }
    await supervisor.ask("close");
  });
}

function sorted(sums: Sums): [string, Record<string, number>][] {
  return Object.entries(sums).sort(([one], [other]) => (one < other ? -1 : 1));
}
