// A worker checks before it obeys: whose socket it is, and what it is told to write to.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chownSync, linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { FakeSupervisor } from "./support/fake_supervisor.ts";
import { SCHEMA, Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000 };
/** Only root can make files of others. */
const AS_ROOT = { ...LIMIT, skip: process.getuid?.() !== 0 };
const STRANGER = 12_345;

// At once: they wait for retries most of the time.
describe("a worker that is careful", { concurrency: true }, () => {
  it("a socket of a stranger is not obeyed, which is said once", AS_ROOT, async (t) => {
    const scene = new Scene(t);
    const fake = await new FakeSupervisor().listen(scene.socket);
    scene.atEnd(() => fake.close());
    chownSync(scene.socket, STRANGER, STRANGER);
    const worker = await scene.worker();
    await until(() => worker.logged(`it belongs to user ${STRANGER}`).length > 0, "it says why");
    // Several tries later.
    await sleep(600);
    assert.equal(worker.log.length, 1, worker.log.join("\n"));
    assert.equal(fake.visits.length, 0);
    // It has gone on trying, and is not offended.
    chownSync(scene.socket, 0, 0);
    await until(() => fake.visits.length === 1, "it comes when the socket is in order");
  });

  it("a socket of a stranger that the application knows is obeyed", AS_ROOT, async (t) => {
    const scene = new Scene(t);
    const fake = await new FakeSupervisor().listen(scene.socket);
    scene.atEnd(() => fake.close());
    chownSync(scene.socket, STRANGER, STRANGER);
    const worker = scene.child("worker_process");
    const options = { name: "web", schema: SCHEMA, socket: scene.socket, owners: [STRANGER] };
    await worker.ask("open", options);
    await until(() => fake.visits.length === 1, "it comes");
    // The file may belong to that stranger as well, and to nobody else.
    const path = scene.path("theirs");
    writeFileSync(path, new Uint8Array(4096));
    chownSync(path, 1, 1);
    await assert.rejects(fake.visits[0]!.setUp(path, 512, 0), /belongs to user 1/);
    chownSync(path, STRANGER, STRANGER);
    await fake.visits[0]!.setUp(path, 512, 512);
    await worker.ask("add", { by: 9 });
    await until(() => readFileSync(path).readBigUInt64LE(512) === 9n, "it counts in there");
  });

  for (const kind of ["link", "file", "folder"]) {
    it(`a ${kind} in place of the socket is not used, which is said once`, LIMIT, async (t) => {
      const scene = new Scene(t);
      const real = scene.path("real.ipc");
      const fake = await new FakeSupervisor().listen(real);
      scene.atEnd(() => fake.close());
      if (kind === "link") symlinkSync(real, scene.socket);
      else if (kind === "file") writeFileSync(scene.socket, "");
      else mkdirSync(scene.socket);
      const worker = await scene.worker();
      await until(() => worker.logged("it is not a socket").length > 0, "it says why");
      await sleep(300);
      assert.equal(worker.log.length, 1, worker.log.join("\n"));
      assert.equal(fake.visits.length, 0);
      await worker.ask("add", { by: 1 });
      assert.equal(await worker.ask("read"), "1");
    });
  }

  it("a socket path that is too long is said once", LIMIT, async (t) => {
    const scene = new Scene(t);
    const worker = await scene.worker({ socket: scene.path("x".repeat(120)) });
    await until(() => worker.logged("the limit is 107").length > 0, "it says why");
    await sleep(300);
    assert.equal(worker.log.length, 1, worker.log.join("\n"));
  });

  it("a place that cannot be trusted is refused, and the worker counts on", LIMIT, async (t) => {
    const scene = new Scene(t);
    const fake = await new FakeSupervisor().listen(scene.socket);
    scene.atEnd(() => fake.close());

    const good = scene.path("good");
    writeFileSync(good, new Uint8Array(4096));
    const make = (name: string, make: (path: string) => void): string => {
      const path = scene.path(name);
      make(path);
      return path;
    };
    const link = make("link", (path) => symlinkSync(good, path));
    const small = make("small", (path) => writeFileSync(path, new Uint8Array(511)));
    const empty = make("empty", (path) => writeFileSync(path, ""));
    const folder = make("folder", (path) => mkdirSync(path));
    const pipe = make("pipe", (path) => execFileSync("mkfifo", [path]));
    const twice = make("twice", (path) => {
      writeFileSync(path, new Uint8Array(4096));
      linkSync(path, scene.path("again"));
    });
    const cases: [string, unknown[], RegExp][] = [
      ["a symbolic link", [link, 512, 0], /ELOOP|symbolic/],
      ["a file that is too small", [small, 512, 0], /file is 511 bytes/],
      ["an empty file", [empty, 512, 0], /file is 0 bytes/],
      ["an offset behind the end", [good, 512, 4096], /file is 4096 bytes/],
      ["an offset across the end", [good, 512, 3592], /file is 4096 bytes/],
      ["a negative offset", [good, 512, -512], /offset -512/],
      ["half an offset", [good, 512, 0.5], /offset 0.5/],
      ["a huge offset", [good, 512, 2 ** 52], /file is 4096 bytes/],
      ["a segment without room", [good, 8, 0], /schema takes 12 bytes, segment is 8 bytes/],
      ["no size", [good, 0, 0], /size/],
      ["a folder", [folder, 512, 0], /EISDIR|not a regular file/],
      ["a pipe", [pipe, 512, 0], /not a regular file|ENXIO/],
      ["a device", ["/dev/zero", 512, 0], /not a regular file/],
      ["a file with two names", [twice, 512, 0], /2 links/],
      ["no file", [scene.path("none"), 512, 0], /ENOENT/],
      ["no path", [null, 512, 0], /path, segment size and offset expected/],
      ["nothing", [], /path, segment size and offset expected/],
      ["text for numbers", [good, "512", "0"], /path, segment size and offset expected/],
      ["a path with a zero byte", [`${good}\0`, 512, 0], /null byte/],
    ];
    if (process.getuid?.() === 0) {
      const others = make("others", (path) => writeFileSync(path, new Uint8Array(4096)));
      chownSync(others, STRANGER, STRANGER);
      cases.push(["a file of a stranger", [others, 512, 0], /belongs to user 12345/]);
    }

    const worker = await scene.worker();
    await worker.ask("add", { by: 5 });
    const visit = await until(() => fake.visits[0], "the worker comes");
    for (const [what, [path, size, offset], reason] of cases) {
      await assert.rejects(visit.setUp(path, size, offset), reason, what);
    }
    assert.equal(worker.log.length, 1, worker.log.join("\n"));
    assert.match(worker.log[0]!, /Refused the segment of supervisor/);
    assert.equal(await worker.ask("read"), "5");
    assert.ok(
      readFileSync(good).every((byte) => byte === 0),
      "it has written nothing",
    );

    // Its place is what it takes, and a bad one later on does not take that away.
    await visit.setUp(good, 512, 1024);
    await worker.ask("add", { by: 1 });
    assert.equal(readFileSync(good).readBigUInt64LE(1024), 6n);
    await assert.rejects(visit.setUp(small, 512, 0));
    await worker.ask("add", { by: 1 });
    assert.equal(readFileSync(good).readBigUInt64LE(1024), 7n);
    // As in Ruby, it moves when it is told to.
    await visit.setUp(good, 512, 8);
    await worker.ask("add", { by: 1 });
    assert.equal(readFileSync(good).readBigUInt64LE(8), 8n);
    assert.equal(readFileSync(good).readBigUInt64LE(1024), 7n);
  });

  it("a refusal is repeated, but said once", LIMIT, async (t) => {
    const scene = new Scene(t);
    const fake = await new FakeSupervisor().listen(scene.socket);
    scene.atEnd(() => fake.close());
    const worker = await scene.worker();
    for (let visits = 1; visits <= 2; visits++) {
      const visit = await until(() => fake.visits[visits - 1], `visit ${visits}`);
      await assert.rejects(visit.setUp(scene.path(`none${visits}`), 512, 512 * visits), /ENOENT/);
      visit.confirm();
    }
    assert.equal(worker.log.length, 1, worker.log.join("\n"));
  });

  it("a supervisor that speaks nonsense is left, and the worker counts on", LIMIT, async (t) => {
    const scene = new Scene(t);
    const fake = await new FakeSupervisor().listen(scene.socket);
    scene.atEnd(() => fake.close());
    const worker = await scene.worker();
    const visit = await until(() => fake.visits[0], "the worker comes");
    for (const method of ["instance_eval", "constructor", "public_send", "exit!"]) {
      const call = visit.connection.invoke("worker", method, ["process.exit(1)"]);
      await assert.rejects(call, { className: "NoMethodError" }, method);
    }
    visit.connection.close();
    await until(() => fake.visits.length === 2, "the worker comes again");
    await worker.ask("add", { by: 2 });
    assert.equal(await worker.ask("read"), "2");
  });
});
