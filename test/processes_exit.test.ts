// A worker never keeps its process alive, and never disturbs it.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createServer, type Socket } from "node:net";
import { it } from "node:test";
import { collectLines, fixturePath } from "./support/child.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };

interface Application {
  readonly process: ChildProcess;
  readonly log: string[];
  /** Its exit code; fails if it does not exit by itself. */
  exit(): Promise<number>;
}

/** An application that does its work and ends when standard input does, without calling `exit`. */
function application(scene: Scene, socket: string, ...options: string[]): Application {
  const child = spawn(process.execPath, [fixturePath("short_process"), socket, ...options], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const log: string[] = [];
  collectLines(child, log);
  scene.atEnd(() => child.kill("SIGKILL"));
  return {
    process: child,
    log,
    async exit() {
      child.stdin.end();
      return until(
        () => child.exitCode !== null && [child.exitCode],
        "the application exits by itself",
      ).then(([code]) => code!);
    },
  };
}

it("an application without a supervisor runs and exits", LIMIT, async (t) => {
  const scene = new Scene(t);
  const app = application(scene, scene.path("nobody.ipc"));
  assert.equal(await app.exit(), 0);
  assert.deepEqual(app.log, [], "no supervisor is nothing to talk about");
});

for (const mapping of ["default", "none"]) {
  it(`a registered application exits, mapping ${mapping}`, LIMIT, async (t) => {
    const scene = await Scene.supervised(t);
    const free = scene.freeCount;
    const app = application(scene, scene.socket, mapping);
    await scene.sees({ pid: app.process.pid! });
    assert.equal(await app.exit(), 0);
    await until(() => scene.freeCount === free, "its segment is free");
    // It counts once more as its last act, and without a mapping its exit has to write that.
    assert.equal(scene.total("short"), 4n);
    assert.deepEqual({ ...scene.monitor.sample() }, {});
  });
}

it("an application that has closed its worker exits", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const app = application(scene, scene.socket, "default", "close");
  await scene.sees({ pid: app.process.pid! });
  assert.equal(await app.exit(), 0);
  await until(() => scene.monitor.sampleByWorker().length === 0, "it is gone");
  assert.equal(scene.total("short"), 4n);
});

it("an application exits while its worker waits for an answer", LIMIT, async (t) => {
  const scene = new Scene(t);
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.resume();
  });
  scene.atEnd(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((done) => server.listen(scene.socket, done));
  const app = application(scene, scene.socket);
  await until(() => sockets.length > 0, "it has connected");
  assert.equal(await app.exit(), 0);
});

it("a supervisor that is stopped holds up no application", LIMIT, async (t) => {
  const scene = new Scene(t);
  const supervisor = scene.child("supervisor_process");
  await supervisor.ask("listen", { socket: scene.socket, path: scene.file });
  const apps = [
    application(scene, scene.socket),
    application(scene, scene.socket, "default", "close"),
  ];
  for (const { log } of apps) {
    await until(() => log.some((line) => line.includes("Registered")), "it is registered");
  }
  await supervisor.stop();
  apps.push(application(scene, scene.socket));
  for (const app of apps) assert.equal(await app.exit(), 0);
  supervisor.wake();
  const expected = { short: { requests_total: 8, worker_count: 0 } };
  await until(
    async () => JSON.stringify(await supervisor.ask("totals")) === JSON.stringify(expected),
    "what the first two counted is in the totals",
  );
});

it("an application exits while it cannot register", LIMIT, async (t) => {
  // The file has one segment, and it is taken.
  const scene = await Scene.supervised(t, { size: 512, maxSize: 512 });
  await scene.registered();
  const app = application(scene, scene.socket);
  await until(() => app.log.some((line) => line.includes("gave no segment")), "it was refused");
  assert.equal(await app.exit(), 0);
  assert.equal(app.log.length, 1);
});

it("an impossible mapping does not disturb the application", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const app = application(scene, scene.socket, "deno");
  await until(() => app.log.some((line) => line.includes("deno")), "it says why");
  assert.equal(await app.exit(), 0);
  assert.equal(app.log.length, 1, app.log.join("\n"));
  assert.equal(scene.monitor.sampleByWorker().length, 0);
});
