// Folders that are missing, read-only or somebody else's, and disks that are full.
import assert from "node:assert/strict";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { makeDirectory } from "../host/directory.ts";
import { Supervisor } from "../host/supervisor.ts";
import { UtilizationMonitor } from "../host/utilization_monitor.ts";
import type { Child } from "./support/child.ts";
import { unmapped } from "./support/mapping.ts";
import { Scene } from "./support/scene.ts";
import { mountMemory, ofUser, openFolder, run, singleUser, unmountable } from "./support/system.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 120_000 };
const USER = 12_345;
const OTHER = 23_456;

/** Starts a supervisor that must fail; returns what it says. */
async function failure(scene: Scene, place: { socket?: string; path?: string }): Promise<string> {
  const { socket = scene.socket, path = scene.file } = place;
  const monitor = new UtilizationMonitor({ path, log: scene.log });
  const options = { socket, monitors: [monitor], log: scene.log };
  const outcome = await Supervisor.listen(options).catch((error: Error) => error);
  if (outcome instanceof Supervisor) await outcome.close();
  assert.ok(outcome instanceof Error, "it has started");
  assert.equal(existsSync(scene.socket), false, "the socket is gone again");
  return outcome.message;
}

describe("a place that cannot be used is named at the start, with the reason", () => {
  it("a folder that is missing", LIMIT, async (t) => {
    const scene = new Scene(t);
    const folder = scene.path("missing");
    const [socket, path] = [join(folder, "a.ipc"), join(folder, "a.shm")];
    assert.equal(
      await failure(scene, { socket }),
      `Cannot listen on "${socket}": folder "${folder}" does not exist`,
    );
    const lock = `Cannot listen on "${path}.lock": folder "${folder}" does not exist`;
    assert.equal(await failure(scene, { path }), `Cannot own shared file "${path}": ${lock}`);
    assert.deepEqual(readdirSync(scene.folder), []);
  });

  it("a folder that is a file", LIMIT, async (t) => {
    const scene = new Scene(t);
    const folder = scene.path("file");
    writeFileSync(folder, "");
    const socket = join(folder, "a.ipc");
    assert.equal(
      await failure(scene, { socket }),
      `Cannot listen on "${socket}": "${folder}" is not a folder`,
    );
    assert.throws(() => makeDirectory(folder), {
      message: `Cannot use folder "${folder}": it is not a folder`,
    });
  });

  for (const [kind, make] of [
    ["folder", (path: string) => mkdirSync(path)],
    ["symbolic link", (path: string) => symlinkSync("precious", path)],
    ["device or pipe", (path: string) => run("mkfifo", path)],
  ] as const) {
    it(`a ${kind} in place of the socket or the file`, LIMIT, async (t) => {
      const scene = new Scene(t);
      const place = scene.path("place");
      make(place);
      assert.equal(
        await failure(scene, { socket: place }),
        `Cannot listen on "${place}": something that is not a socket is in its place, a ${kind}`,
      );
      assert.equal(
        await failure(scene, { path: place }),
        `Cannot create shared file "${place}": something that is not a file is in its place, a ${kind}`,
      );
      assert.deepEqual(readdirSync(scene.folder), ["place"]);
    });
  }

  it("a read-only file system", { ...LIMIT, skip: unmountable }, async (t) => {
    const scene = new Scene(t);
    const folder = mountMemory(scene, "frozen");
    run("mount", "-o", "remount,ro", folder);
    const [socket, path] = [join(folder, "a.ipc"), join(folder, "a.shm")];
    const reason = `folder "${folder}" is on a read-only file system`;
    assert.equal(await failure(scene, { socket }), `Cannot listen on "${socket}": ${reason}`);
    const lock = `Cannot listen on "${path}.lock": ${reason}`;
    assert.equal(await failure(scene, { path }), `Cannot own shared file "${path}": ${lock}`);
    assert.throws(() => makeDirectory(join(folder, "a", "b")), {
      message: `Cannot create folder "${join(folder, "a")}": ${reason}`,
    });
  });

  it("a folder of another user", { ...LIMIT, skip: singleUser }, async (t) => {
    const scene = new Scene(t);
    const folder = openFolder(scene, "theirs", 0o755);
    const mine = openFolder(scene, "mine", 0o755);
    chownSync(mine, USER, USER);
    const supervisor = scene.child("supervisor_process", {}, ofUser(USER));
    const reason = `user ${USER} may not write to folder "${folder}" (of user 0, mode 0755)`;
    const [socket, path] = [join(folder, "a.ipc"), join(folder, "a.shm")];
    await assert.rejects(supervisor.ask("listen", { socket, path: join(mine, "a.shm") }), {
      message: `Cannot listen on "${socket}": ${reason}`,
    });
    const lock = `Cannot listen on "${path}.lock": ${reason}`;
    await assert.rejects(supervisor.ask("listen", { socket: join(mine, "a.ipc"), path }), {
      message: `Cannot own shared file "${path}": ${lock}`,
    });
    assert.deepEqual([...readdirSync(folder), ...readdirSync(mine)], []);
  });

  it("a file of another user in a sticky folder", { ...LIMIT, skip: singleUser }, async (t) => {
    const scene = new Scene(t);
    const folder = openFolder(scene, "shared", 0o1777);
    const [socket, path] = [join(folder, "a.ipc"), join(folder, "a.shm")];
    writeFileSync(path, "precious");
    chownSync(path, OTHER, OTHER);
    const supervisor = scene.child("supervisor_process", {}, ofUser(USER));
    const reason = `it belongs to user ${OTHER}, who alone may replace it in folder "${folder}"`;
    await assert.rejects(supervisor.ask("listen", { socket, path }), {
      message: `Cannot create shared file "${path}": ${reason}`,
    });
    assert.equal(statSync(path).size, 8);

    // The socket that a killed supervisor of theirs has left.
    const dead = scene.child("supervisor_process", {}, ofUser(OTHER));
    await dead.ask("listen", { socket, path: join(folder, "b.shm") });
    await dead.kill();
    await assert.rejects(supervisor.ask("listen", { socket, path: join(folder, "c.shm") }), {
      message: `Cannot listen on "${socket}": ${reason}`,
    });
  });

  it("a group that the user is not in", { ...LIMIT, skip: singleUser }, async (t) => {
    const scene = new Scene(t);
    const folder = openFolder(scene, "mine", 0o777);
    const supervisor = scene.child("supervisor_process", {}, ofUser(USER));
    const place = { socket: join(folder, "a.ipc"), path: join(folder, "a.shm") };
    await assert.rejects(supervisor.ask("listen", { ...place, mode: 0o660, groupId: OTHER }), {
      message: `Cannot hand socket and file to group ${OTHER}: user ${USER} is not in that group`,
    });
    assert.deepEqual(readdirSync(folder), []);
  });
});

/** Takes all the room that is left, and returns what gives it back. */
function fill(folder: string): () => void {
  const filler = join(folder, "filler");
  for (let size = 4096; ; size += 4096) {
    try {
      writeFileSync(filler, new Uint8Array(4096), { flag: "a" });
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
      // What was written of the last page would be given back by an append that fails.
      truncateSync(filler, size - 4096);
      return () => rmSync(filler);
    }
  }
}

/** How often workers have come and gone without having been counted. */
function refusals(scene: Scene): number {
  return scene.log.with("debug Removed worker").length;
}

it("a full disk refuses workers, harms nobody, and recovers", {
  ...LIMIT,
  skip: unmountable,
}, async (t) => {
  const scene = new Scene(t);
  const folder = mountMemory(scene, "small", "size=128k");
  const path = join(folder, "a.shm");
  // A page a worker, and the file must grow for the second one.
  await scene.supervise({ path, size: 4096, segmentSize: 4096 });
  const first = await scene.registered();
  await first.ask("add", { by: 1 });
  const makeRoom = fill(folder);

  const late: Child[] = [await scene.worker(), await scene.worker()];
  for (const worker of late) await worker.ask("add", { by: 1000 });
  const refused = () => scene.log.with("Failed to allocate utilization segment");
  await until(() => refused().length === late.length, "both are refused");
  for (const worker of late) {
    const lines = refused().filter((line) => line.includes(`"process_id":${worker.pid}`));
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.match(lines[0]!, /^warn .*"worker_id":\d+.*"service":"web".*(ENOSPC|No space left)/);
    assert.ok(lines[0]!.includes(`make room on the file system of \\"${path}\\"`), lines[0]);
  }
  await until(() => refusals(scene) >= 2 * late.length, "they have asked again");
  assert.equal(refused().length, late.length, "that is said once a process");
  assert.equal(scene.log.with("info Removed worker").length, 0);
  for (const worker of [first, ...late]) assert.ok(worker.running);
  for (const worker of late) assert.equal(worker.log.length, 1, worker.log.join("\n"));

  await first.ask("add", { by: 1 });
  assert.equal(scene.monitor.sample().web?.requests_total, 2);
  assert.equal(scene.total("web"), 2n);

  makeRoom();
  for (const worker of late) await scene.sees(worker);
  assert.equal(scene.monitor.sample().web?.requests_total, 2002);
  await first.kill();
  await until(() => scene.monitor.sample().web?.worker_count === 2, "the first one is gone");
  assert.equal(scene.total("web"), 2002n);
});

it("a supervisor that may map no more reads", {
  ...LIMIT,
  skip: unmapped || noPrlimit(),
}, async (t) => {
  const scene = new Scene(t);
  const supervisor = scene.child("supervisor_process");
  const growth = { size: 4096, segmentSize: 4096, growthFactor: 200_000, maxSize: 2 ** 30 };
  const mapping = await supervisor.ask("listen", {
    socket: scene.socket,
    path: scene.file,
    ...growth,
  });
  assert.notEqual(mapping, "none");
  const total = async (): Promise<number | undefined> => {
    const sample = await supervisor.ask<Record<string, Record<string, number>>>("sample");
    return sample.web?.requests_total;
  };
  const first = await scene.worker();
  await first.ask("add", { by: 1 });
  await until(async () => (await total()) === 1, "the first worker is sampled");
  // Less address space than the file will take, and enough for all the rest.
  const now = Number(/VmSize:\s+(\d+) kB/.exec(run("cat", `/proc/${supervisor.pid}/status`))![1]);
  run("prlimit", `--pid=${supervisor.pid}`, `--as=${now * 1024 + 2 ** 29}`);
  const second = await scene.worker();
  await second.ask("add", { by: 10 });
  await until(async () => (await total()) === 11, "both are sampled");
  await first.ask("add", { by: 100 });
  assert.equal(await total(), 111);
  const lines = supervisor.logged("by file I/O from now on");
  assert.equal(lines.length, 1, supervisor.log.join("\n"));
  assert.match(lines[0]!, /ENOMEM/);
  await second.kill();
  await until(async () => {
    const totals = await supervisor.ask<Record<string, Record<string, number>>>("totals");
    return totals.web?.requests_total === 111 && totals.web.worker_count === 1;
  }, "the second one is retired");
});

function noPrlimit(): string | false {
  try {
    run("prlimit", "--version");
    return false;
  } catch {
    return "there is no prlimit";
  }
}
