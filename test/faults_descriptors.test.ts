// A supervisor that has run out of file descriptors: the system tells it so by no event.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeMessage } from "../host/bus/messages.ts";
import { symbol } from "../host/bus/values.ts";
import type { WorkerSample } from "../host/sample.ts";
import { invoke } from "./bus_captures.ts";
import type { Child } from "./support/child.ts";
import { isDeno } from "./support/runtime.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const hasPrlimit = spawnSync("prlimit", ["--version"]).status === 0;
/** Deno 2.9 panics without descriptors (ext/signals), and its listener accepts no more after it. */
const skipped = isDeno ? "Deno itself does not survive it" : !hasPrlimit && "needs prlimit";

/** Clients that stay, do nothing, and push in wherever there is room. */
class Crowd {
  readonly #sockets: Set<Socket> = new Set();
  readonly #path: string;
  #pushing = true;

  constructor(path: string, size: number) {
    this.#path = path;
    for (let i = 0; i < size; i++) this.#enter();
  }

  #enter(): void {
    if (!this.#pushing) return;
    const socket = connect(this.#path);
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#sockets.delete(socket);
      setTimeout(() => this.#enter(), 5);
    });
    socket.resume();
    // One call, so that it is not taken for a client that never says anything.
    socket.write(encodeMessage(invoke(1, symbol("supervisor"), "keys")));
  }

  leave(): void {
    this.#pushing = false;
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Leaves a process so many descriptors more than it has. */
function limitDescriptors({ pid }: Child, more: number): void {
  const used = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let limit = 0;
  // The limit is one of numbers, and some of the used ones may be far up.
  for (let left = more; left > 0; limit++) if (!used.has(limit)) left--;
  execFileSync("prlimit", ["--pid", String(pid), `--nofile=${limit}:${limit}`]);
}

it("a supervisor without file descriptors says so once, harms nobody, and recovers", {
  timeout: 60_000,
  skip: skipped,
}, async (t) => {
  const scene = new Scene(t);
  const supervisor = scene.child("supervisor_process");
  const { socket, file: path } = scene;
  await supervisor.ask("listen", { socket, path, probeMs: 1000, reuseDelayMs: 0 });
  const sample = () => supervisor.ask<Record<string, Record<string, number>>>("sample");
  const totals = () => supervisor.ask<Record<string, Record<string, number>>>("totals");
  const counts = () => supervisor.ask<{ detachedCount: number; availableCount: number }>("counts");
  const reads = (count: number) =>
    until(
      async () => (await supervisor.ask<WorkerSample[]>("workers")).length === count,
      `the supervisor reads ${count} workers`,
    );

  const steady = await scene.worker();
  await steady.ask("count");
  const proxy = await scene.cuttable();
  const lost = await scene.worker({ name: "lost", socket: proxy.path });
  await lost.ask("add", { by: 5 });
  await reads(2);
  const before = await counts();

  limitDescriptors(supervisor, 8);
  const crowd = new Crowd(socket, 30);
  scene.atEnd(() => crowd.leave());
  await until(() => supervisor.logged("cannot reach the supervisor").length > 0, "it says so");
  const late = await scene.worker({ name: "late" });
  await late.ask("add", { by: 7 });

  // It cannot look at processes now, which tells nothing about whether they live.
  proxy.cut({ open: false });
  await until(async () => (await counts()).detachedCount === 1, "the lost one is detached");
  for (let round = 0; round < 25; round++) {
    const { web: then } = await sample();
    await sleep(100);
    await until(
      async () => (await sample()).web!.requests_total! > then!.requests_total!,
      "the steady one is seen to count",
    );
    assert.equal((await totals()).lost?.requests_total, 5);
    assert.equal((await counts()).detachedCount, 1, "its segment is not given away");
  }
  await lost.ask("add", { by: 1 });
  assert.equal((await totals()).lost?.requests_total, 6);
  const lines = supervisor.logged("cannot reach the supervisor");
  assert.equal(lines.length, 1, lines.join("\n"));
  assert.equal(supervisor.logged("again").length, 0);

  crowd.leave();
  await until(() => supervisor.logged("can reach the supervisor again").length > 0, "it recovers");
  proxy.open();
  await reads(3);
  assert.equal((await sample()).late?.requests_total, 7);
  assert.equal((await totals()).lost?.requests_total, 6);
  const after = await counts();
  assert.deepEqual(after, {
    ...after,
    detachedCount: 0,
    availableCount: before.availableCount - 1,
  });
  assert.equal(supervisor.logged("cannot reach the supervisor").length, 1);
  assert.equal(supervisor.logged("can reach the supervisor again").length, 1);
  assert.equal(steady.log.length, 1, steady.log.join("\n"));
});
