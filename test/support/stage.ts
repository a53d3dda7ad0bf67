import assert from "node:assert/strict";
import type { Connection } from "../../host/bus/connection.ts";
import type { Test } from "./after_test.ts";
import { Bystander } from "./bystander.ts";
import { dial } from "./ruby_worker.ts";
import { Scene } from "./scene.ts";
import { until } from "./until.ts";

/** A supervisor with one ordinary worker. Holders that cannot be seen have a short lease. */
export async function stage(t: Test, setupTimeoutMs = 5000) {
  const scene = await Scene.supervised(t, { leaseMs: 50, setupTimeoutMs });
  const bystander = await Bystander.enter(scene);
  const free = scene.freeCount;
  const call = (): Connection => {
    const connection = dial(scene.socket);
    scene.atEnd(() => connection.close());
    return connection;
  };
  const leaves = async (connection: Connection, what: string): Promise<void> => {
    connection.close();
    await until(() => scene.supervisor.keys().length === 1, `${what} has left`);
    await until(() => scene.freeCount === free, `the segment of ${what} is free`);
    assert.equal(scene.monitor.detachedCount, 0);
  };
  return { scene, bystander, free, call, leaves };
}
