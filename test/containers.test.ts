// Workers and supervisors with namespaces of their own, as containers have them, and of other users.
import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { mappedDeviceOf, mapsNamesake, mapsRange } from "../host/holder.ts";
import { openFile, selectMapping } from "../host/mapping/index.ts";
import type { Child } from "./support/child.ts";
import { SCHEMA, Scene } from "./support/scene.ts";
import {
  contained,
  mountMemory,
  ofUser,
  openFolder,
  singleUser,
  uncontainable,
  unmountable,
  withMounts,
} from "./support/system.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 120_000 };
const IN_CONTAINERS = { ...LIMIT, skip: uncontainable };
const SUPERVISOR_USER = 12_345;
const WORKER_USER = 23_456;
const GROUP = 34_567;

/** The workers that a monitor samples, by what they have counted. */
function counts(scene: Scene): number[] {
  const samples = scene.monitor.sampleByWorker();
  return samples.map(({ data }) => data.requests_total as number).sort((a, b) => a - b);
}

/** A folder of the supervisor's that is at another path in containers, and empty at its own. */
async function elsewhere(t: Parameters<typeof Scene.supervised>[0]) {
  const scene = new Scene(t);
  const told = mountMemory(scene, "told");
  const shared = scene.path("shared");
  mkdirSync(shared);
  const path = join(told, "a.shm");
  return { scene, told, shared, path, setUp: `mount --bind ${told} ${shared}` };
}

it(
  "workers that all have pid 1, and the folder elsewhere, count exactly",
  IN_CONTAINERS,
  async (t) => {
    const { scene, told, shared, path, setUp } = await elsewhere(t);
    await scene.supervise({ path, socket: join(told, "a.ipc"), leaseMs: 200 });
    const runtime = contained(`${setUp}; mount -t tmpfs none ${told}`);
    const enter = async (by: number): Promise<Child> => {
      const worker = scene.child("worker_process", {}, runtime);
      await worker.ask("open", { name: "web", schema: SCHEMA, socket: join(shared, "a.ipc") });
      await worker.ask("add", { by });
      return worker;
    };
    const [first, second] = [await enter(1), await enter(10)];
    await until(() => String(counts(scene)) === "1,10", "both are sampled");
    for (const { processId } of scene.monitor.sampleByWorker()) assert.equal(processId, 1);

    await first.kill();
    await until(() => scene.monitor.sample().web?.worker_count === 1, "one is gone");
    assert.equal(scene.total("web"), 11n, "nothing is lost, or counted twice");
    await until(() => scene.monitor.detachedCount === 0, "its lease has ended");
    await second.ask("add", { by: 100 });
    const third = await enter(1000);
    await until(() => String(counts(scene)) === "110,1000", "a new one is sampled");
    assert.equal(scene.total("web"), 1111n);
    // It comes back with what it has counted, although its pid is that of all others.
    await scene.supervisor.close();
    await scene.supervise({ path, socket: join(told, "a.ipc"), leaseMs: 200 });
    await until(() => String(counts(scene)) === "110,1000", "they are back");
    assert.equal(scene.total("web"), 1111n);
    for (const worker of [second, third]) assert.ok(worker.running);
  },
);

it(
  "a worker takes the supervisor's file, not another one with its path and inode",
  IN_CONTAINERS,
  async (t) => {
    const { scene, told, shared, path, setUp } = await elsewhere(t);
    await scene.supervise({ path, socket: join(told, "a.ipc"), leaseMs: 200, journal: false });
    // Each file system in memory counts its inodes from the same number.
    const find = `file=none; number=0
    while [ "$(stat -c %i $file 2> /dev/null)" != ${statSync(path).ino} ]; do
      number=$((number + 1)); [ $number -lt 1000 ]
      file=${told}/$number; head -c 32768 /dev/zero > $file
    done`;
    const decoy = `mount -t tmpfs none ${told}; ${find}; mv $file ${path}`;
    const worker = scene.child("worker_process", {}, contained(`${setUp}; ${decoy}`));
    await worker.ask("open", { name: "web", schema: SCHEMA, socket: join(shared, "a.ipc") });
    await worker.ask("add", { by: 5 });
    await scene.sums("web", "requests_total", 5);
    assert.equal(worker.logged("different file").length, 0);
  },
);

it(
  "a worker that finds another file only is refused, not called stalled",
  IN_CONTAINERS,
  async (t) => {
    const { scene, told, path } = await elsewhere(t);
    const socket = join(told, "a.ipc");
    await scene.supervise({ path, socket, leaseMs: 200 });
    const free = scene.freeCount;
    // The socket alone is shared, and the folder beside it has a file of that name.
    const own = scene.path("own");
    mkdirSync(own);
    const touch = `touch ${own}/a.ipc; mount --bind ${socket} ${own}/a.ipc`;
    const decoy = `mount -t tmpfs none ${told}; head -c 32768 /dev/zero > ${path}`;
    writeFileSync(join(own, "a.shm"), new Uint8Array(32_768), { mode: 0o600 });
    const worker = scene.child("worker_process", {}, contained(`${touch}; ${decoy}`));
    await worker.ask("open", { name: "web", schema: SCHEMA, socket: join(own, "a.ipc") });
    await worker.ask("add", { by: 5 });
    await until(
      () => worker.logged("is a different file than the supervisor's").length === 1,
      "the worker says so",
    );
    await until(() => scene.log.with("different file").length === 1, "the supervisor says so");
    assert.match(
      scene.log.with("different file")[0]!,
      /^error Error setting up worker utilization.*"process_id":1,/,
    );
    assert.equal(scene.log.with("stalled").length, 0);
    assert.deepEqual(counts(scene), []);
    await until(() => scene.freeCount === free, "its segment is free again");
    assert.equal(await worker.ask("read"), "5");
  },
);

it("a supervisor on a read-only root has one folder to write to", IN_CONTAINERS, async (t) => {
  const scene = new Scene(t);
  const folder = scene.path("run");
  mkdirSync(folder);
  const frozen = `mount --bind ${folder} ${folder}; mount -o remount,bind,ro /`;
  const supervisor = scene.child("supervisor_process", {}, contained(frozen));
  const path = scene.path("b.shm");
  await assert.rejects(supervisor.ask("listen", { socket: join(folder, "a.ipc"), path }), {
    message: `Cannot own shared file "${path}": Cannot listen on "${path}.lock": folder "${scene.folder}" is on a read-only file system`,
  });
  const place = { socket: join(folder, "a.ipc"), path: join(folder, "a.shm") };
  await supervisor.ask("listen", { ...place, leaseMs: 200 });
  const worker = scene.child("worker_process", {}, contained(frozen));
  await worker.ask("open", { name: "web", schema: SCHEMA, socket: place.socket });
  await worker.ask("add", { by: 7 });
  const total = async (what: "sample" | "totals"): Promise<number | undefined> => {
    const services = await supervisor.ask<Record<string, Record<string, number>>>(what);
    return services.web?.requests_total;
  };
  await until(async () => (await total("sample")) === 7, "the worker is sampled");
  await worker.kill();
  await until(async () => (await total("sample")) === undefined, "the worker is gone");
  assert.equal(await total("totals"), 7);
});

it("a group lets in workers of another user, and keeps out all others", {
  ...LIMIT,
  skip: singleUser,
}, async (t) => {
  const scene = new Scene(t);
  const folder = openFolder(scene, "run", 0o750);
  chownSync(folder, SUPERVISOR_USER, GROUP);
  const place = { socket: join(folder, "a.ipc"), path: join(folder, "a.shm") };
  const supervisor = scene.child("supervisor_process", {}, ofUser(SUPERVISOR_USER, GROUP));
  await supervisor.ask("listen", { ...place, mode: 0o660, groupId: GROUP });
  const open = async (...groups: number[]): Promise<Child> => {
    const worker = scene.child("worker_process", {}, ofUser(WORKER_USER, ...groups));
    const options = { name: "web", schema: SCHEMA, socket: place.socket };
    await worker.ask("open", { ...options, owners: [SUPERVISOR_USER] });
    await worker.ask("add", { by: 3 });
    return worker;
  };
  const [member, stranger] = [await open(GROUP), await open()];
  const sample = () => supervisor.ask<Record<string, Record<string, number>>>("sample");
  await until(async () => (await sample()).web?.requests_total === 3, "the member is sampled");
  await until(() => stranger.logged("EACCES").length === 1, "the stranger says why it cannot");
  // The folder lets it in, and the socket does not.
  chmodSync(folder, 0o755);
  await until(() => stranger.logged("EACCES").length === 2, "the stranger says what is new");
  assert.equal((await sample()).web?.worker_count, 1);
  assert.equal(stranger.log.length, 2, stranger.log.join("\n"));
  await member.kill();
  await until(async () => (await sample()).web === undefined, "the member is gone");
  const totals = await supervisor.ask<Record<string, Record<string, number>>>("totals");
  assert.equal(totals.web?.requests_total, 3);
});

const MAPPED = unmountable || (selectMapping().mapping === "none" && "nothing can be mapped here");

it("files of two file systems with one inode are told apart", { ...LIMIT, skip: MAPPED }, (t) => {
  const scene = new Scene(t);
  const [ours, theirs] = ["ours", "theirs"].map((name) => {
    const path = join(mountMemory(scene, name), "a.shm");
    const file = openFile(path, { write: true, create: 0o600 });
    file.resize(65_536);
    scene.atEnd(() => file.close());
    return { path, file, status: file.status() };
  });
  const { inode } = ours!.status;
  assert.equal(theirs!.status.inode, inode, "the same inode");
  const range = { inode, offset: 0, length: 512 };
  assert.equal(mapsRange(process.pid, range), false);
  assert.equal(mappedDeviceOf(inode), undefined);
  ours!.file.map(0, 512);
  const device = mappedDeviceOf(inode);
  assert.match(device!, /^[0-9a-f]+:[0-9a-f]+$/);
  assert.equal(mapsRange(process.pid, { ...range, device }), true);
  assert.equal(mapsRange(process.pid, { ...range, device: "00:00" }), false);
  assert.equal(mapsRange(process.pid, { ...range, offset: 32_768, device }), false);
  theirs!.file.map(32_768, 512);
  assert.equal(mapsRange(process.pid, { ...range, offset: 32_768, device }), false);
  assert.equal(mapsRange(process.pid, { ...range, offset: 32_768 }), true, "by the inode alone");
  assert.equal(mappedDeviceOf(inode), undefined, "which of the two is ours cannot be told");
  assert.equal(mapsNamesake(process.pid, "/elsewhere/a.shm"), true);
  assert.equal(mapsNamesake(process.pid, "/elsewhere/b.shm"), false);
});

it("a foreign worker that maps another file of that name is named", {
  ...IN_CONTAINERS,
  skip: IN_CONTAINERS.skip || MAPPED,
}, async (t) => {
  const scene = new Scene(t);
  const told = mountMemory(scene, "told");
  const path = join(told, "a.shm");
  await scene.supervise({ path });
  const decoy = `mount -t tmpfs none ${told}; head -c 32768 /dev/zero > ${path}`;
  const ruby = scene.child("ruby_process", {}, withMounts(decoy));
  await ruby.ask("register", { name: "ruby", socket: scene.socket });
  await until(() => scene.log.with("maps a different file").length === 1, "it is named");
  const good = await scene.ruby();
  await scene.sees(good);
  assert.equal(scene.log.with("maps a different file").length, 1);
});
