// Workers and supervisors of other versions that speak the same wire.
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { it } from "node:test";
import { symbol } from "../host/bus/values.ts";
import { identityOf } from "../host/holder.ts";
import { symbolMap, WIRE_VERSION } from "../host/wire.ts";
import { FakeSupervisor } from "./support/fake_supervisor.ts";
import { dial } from "./support/ruby_worker.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };

it("a worker that says more than we know is counted", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const connection = dial(scene.socket);
  scene.atEnd(() => connection.close());
  let place: readonly unknown[] = [];
  const options = symbolMap({ kind: "gauge", aggregate: "max", later: [1, 2] });
  const worker = connection.bind("worker", {
    setup_utilization_observer(given) {
      place = given;
      return [[symbol("level"), symbol("u64"), 0, options, "later"]];
    },
  });
  const state = { name: "later", incarnation: "i", wire: WIRE_VERSION, later: { a: [1] } };
  const id = await connection.invoke("supervisor", "register", [worker, "later"], {
    options: { process_id: null, state: symbolMap(state), later: true },
  });
  assert.equal(id, 1);
  assert.equal(scene.monitor.sample().later?.worker_count, 1);
  const { dev, ino } = statSync(scene.file, { bigint: true });
  const told = [scene.file, 512, 0, identityOf({ device: dev, inode: ino })];
  assert.deepEqual(place, told);
  assert.equal(scene.log.with("Dropped").length, 0);
});

it(
  "a worker that says less, as foreign ones do, is told no more than it knows",
  LIMIT,
  async (t) => {
    const scene = await Scene.supervised(t);
    const connection = dial(scene.socket);
    scene.atEnd(() => connection.close());
    let count = 0;
    const worker = connection.bind("worker", {
      setup_utilization_observer(given) {
        count = given.length;
        return [[symbol("level"), symbol("u64"), 0]];
      },
    });
    await connection.invoke("supervisor", "register", [worker], { options: { process_id: null } });
    assert.equal(count, 3);
    assert.equal(scene.monitor.sample().unknown?.worker_count, 1);
  },
);

for (const [version, ...more] of [
  ["an earlier"],
  ["this", "identity"],
  ["a later", "identity", symbolMap({ later: 1 }), "later"],
] as const) {
  it(`our worker obeys ${version} supervisor`, LIMIT, async (t) => {
    const scene = new Scene(t);
    const fake = await new FakeSupervisor().listen(scene.socket);
    scene.atEnd(() => fake.close());
    const path = scene.path("file");
    writeFileSync(path, new Uint8Array(4096));
    const { dev, ino } = statSync(path, { bigint: true });
    const identity = identityOf({ device: dev, inode: ino });
    const worker = await scene.worker();
    const visit = await until(() => fake.visits[0], "the worker comes");
    const place = [path, 512, 1024, ...more.map((one) => (one === "identity" ? identity : one))];
    await (visit.setUp as (...place: unknown[]) => Promise<unknown>)(...place);
    await worker.ask("add", { by: 9 });
    await until(() => readFileSync(path).readBigUInt64LE(1024) === 9n, "it counts there");
  });
}
