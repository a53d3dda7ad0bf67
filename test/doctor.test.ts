// Each thing that can be wrong has its line, and a remedy.

import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Connection } from "../host/bus/connection.ts";
import { JOURNAL_FORMAT } from "../host/journal_header.ts";
import { VERSION } from "../host/version.ts";
import { runCli, startCli, startWorker } from "./fixtures/cli_process.ts";
import { afterTest, type Test } from "./support/after_test.ts";
import { Report } from "./support/doctor.ts";
import { temporaryFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";
import { Scene } from "./support/scene.ts";
import { mountMemory, singleUser, unmountable } from "./support/system.ts";
import { until } from "./support/until.ts";

const STRANGER = 23_456;

async function examine(t: Test, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Report> {
  return new Report(await runCli(t, ["doctor", "--json", ...args], env));
}

describe("utilization doctor, with a supervisor", () => {
  it("says that all is well, and what it sees", async (t) => {
    const dir = temporaryFolder(t);
    const cli = startCli(t, ["supervise", "--dir", dir, "--interval", "1h"]);
    await cli.until("a line", () => cli.lines.length === 1);
    const before = await examine(t, ["--dir", dir]);
    before.says("warning", "workers", /^None is registered$/, /UTILIZATION_SUPERVISOR/);
    const socket = join(dir, "default.ipc");
    await startWorker(t, socket, "web", 1n);
    await startWorker(t, socket, "we\u001bb", 1n);

    const report = await examine(t, ["--dir", dir]);
    assert.deepEqual(report.errors, []);
    const process = `, process ${cli.child.pid}`;
    report.says("ok", "supervisor", new RegExp(`^utilization-monitor ${VERSION}${process}$`));
    report.says("ok", "workers", /^web 1, we.b 1$/);
    report.says("ok", "version", new RegExp(`^utilization-monitor ${VERSION}, `));
    report.says("ok", "core", /^WebAssembly with SIMD$/);
    report.says("ok", "folder", /, mode 0700, by --dir$/);
    report.says("ok", "path", /^\d+ of 10\d bytes/);
    report.says("ok", "socket", /mode 0600$/);
    report.says("ok", "file", /^32 KiB of user \d+, mode 0600; \d+ pages? of \d+ KiB/);
    report.says("ok", "journal", /^2 segments of 512 bytes in use$/);
    report.says("ok", "descriptors", /^\d+ of \d+ are in use by the supervisor$/);
    const byVariable = await examine(t, [], { UTILIZATION_SUPERVISOR: socket });
    byVariable.says("ok", "folder", /by UTILIZATION_SUPERVISOR$/);
    byVariable.says("ok", "journal", /^2 segments/);

    const { stdout, code } = await runCli(t, ["doctor", "--dir", dir]);
    assert.equal(code, 0);
    assert.match(stdout, /^ {2}ok {6}workers {6}web 1, we\u{fffd}b 1$/mu);
    assert.doesNotMatch(stdout, /[^\P{Cc}\n]/u, "no control characters");
    // A word that is longer than a line, such as a path, stays whole.
    for (const line of stdout.split("\n")) {
      assert.ok(line.length <= 80 || !line.trim().includes(" "), line);
    }
  });

  it("sees who writes by file I/O, and which limits were reached", async (t) => {
    const scene = await Scene.supervised(t, { peerLimits: { workers: 1 } });
    await scene.registered({ mapping: "none" });
    await scene.worker();
    await until(() => scene.supervisor.limitsReached.workers! > 0, "one is refused");
    const report = await examine(t, ["--socket", scene.socket]);
    report.says("warning", "mapping", /^1 of 1 workers write by file I\/O/, /utilization doctor/);
    report.says("warning", "limits", /^Reached: workers \d+ times$/);
  });

  it("sees one that does not answer, and a file that is gone", async (t) => {
    const scene = new Scene(t);
    const supervisor = scene.child("supervisor_process");
    const place = { socket: scene.path("default.ipc"), path: scene.path("default.shm") };
    await supervisor.ask("listen", place);
    rmSync(place.path);
    const gone = await examine(t, ["--dir", scene.folder]);
    gone.says("error", "file", /is not there.*it was removed$/, /^restart the supervisor$/);
    await supervisor.stop();
    const report = await examine(t, ["--dir", scene.folder]);
    report.says("error", "supervisor", /no answer within 5000 ms/, /^restart it/);
    supervisor.wake();
  });

  it("sees a worker that stands still", async (t) => {
    const scene = await Scene.supervised(t);
    const worker = await scene.registered();
    await worker.stop();
    await until(() => scene.monitor.stalled().web === 1, "it is called stalled");
    const report = await examine(t, ["--socket", scene.socket]);
    report.says("warning", "stalled", /stands still: 1 of web$/, /^utilization top/);
    worker.wake();
  });

  it("sees one of another make, and one that answers nonsense", async (t) => {
    const socket = join(temporaryFolder(t), "default.ipc");
    const methods: Record<string, () => unknown> = { status: () => [] };
    const server = createServer((peer) => {
      const log = new CollectingLogger();
      new Connection({ socket: peer, accepting: true, log }).bind("supervisor", methods);
    });
    afterTest(t, () => void server.close());
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const other = await examine(t, ["--socket", socket]);
    other.says(
      "warning",
      "supervisor",
      /^It is of another make, or older; here is /,
      /same version/,
    );
    other.says("warning", "workers", /cannot tell what it sees$/);
    assert.deepEqual(other.errors, []);
    methods.version = () => "9.9.9\u001b[31m";
    methods.status_json = () => '[{"data":{"web":null}}]';
    const wrong = await examine(t, ["--socket", socket]);
    wrong.says("warning", "supervisor", /^It is of version 9\.9\.9/);
    wrong.says("error", "supervisor", /^It listens on .*, but: /);
    assert.ok(!(await runCli(t, ["doctor", "--socket", socket])).stdout.includes("\u001b"));
  });

  it("sees one that owns the file and listens elsewhere", async (t) => {
    const dir = temporaryFolder(t);
    const place = ["--socket", join(dir, "other.ipc"), "--path", join(dir, "default.shm")];
    const cli = startCli(t, ["supervise", ...place]);
    await cli.until("a line", () => cli.lines.length === 1);
    const report = await examine(t, ["--dir", dir]);
    report.says("error", "socket", /but a supervisor owns/, /^--socket with that of the owner/);
    report.isSilentAbout("supervisor");
    const other = await examine(t, place);
    assert.deepEqual(other.errors, []);
  });
});

describe("utilization doctor, without a supervisor", () => {
  it("knows a folder that is not there yet", async (t) => {
    const dir = join(temporaryFolder(t), "run");
    const report = await examine(t, [], { UTILIZATION_DIR: dir });
    assert.deepEqual(report.errors, []);
    report.says("ok", "folder", /does not exist yet, a supervisor makes it, by UTILIZATION_DIR$/);
    report.says("warning", "supervisor", /^None listens/, /^utilization supervise --dir \//);
    const told = await examine(t, ["--socket", join(dir, "a.ipc")]);
    told.says("error", "folder", /does not exist$/, /^mkdir -m 0700 -p /);
  });

  it("knows a socket, a file and a journal that a killed one has left", async (t) => {
    const dir = temporaryFolder(t);
    const cli = startCli(t, ["supervise", "--dir", dir]);
    await cli.until("a line", () => cli.lines.length === 1);
    cli.child.kill("SIGKILL");
    await cli.exit;
    const report = await examine(t, ["--dir", dir]);
    assert.deepEqual(report.errors, []);
    report.says("warning", "socket", /its supervisor was killed$/, /replaces the socket$/);
    report.says("ok", "journal", /^0 segments/);
    writeFileSync(join(dir, "copy"), "x", { mode: 0o600 });
    renameSync(join(dir, "copy"), join(dir, "default.shm"));
    const replaced = await examine(t, ["--dir", dir]);
    replaced.says("warning", "journal", /^It speaks of another file/, /copy or replace/);
    rmSync(join(dir, "default.shm.journal"));
    (await examine(t, ["--dir", dir])).says("warning", "journal", /^There is none/, /journal/);
  });

  it("refuses a journal that is none, and does not obey what is in it", async (t) => {
    const dir = temporaryFolder(t);
    writeFileSync(join(dir, "default.shm"), new Uint8Array(32_768), { mode: 0o600 });
    const header = {
      format: JOURNAL_FORMAT,
      boot: null,
      namespace: null,
      supervisor: { pid: 1, start: null },
    };
    const file = { inode: "1", segmentSize: 512 };
    const lines = [JSON.stringify({ ...header, file }), "\u001b[31m", ""];
    writeFileSync(join(dir, "default.shm.journal"), lines.join("\n"), { mode: 0o600 });
    const report = await examine(t, ["--dir", dir]);
    assert.deepEqual(report.errors, ["journal"]);
    report.says("error", "journal", /^Cannot use journal/, /^mv .* begins anew$/);
    const { stdout, code } = await runCli(t, ["doctor", "--dir", dir]);
    assert.equal(code, 1);
    assert.ok(!stdout.includes("\u001b"), stdout);
    assert.match(stdout, /^1 error, \d+ warnings?$/m);
  });

  it("refuses what is in the place of folder, socket or file", async (t) => {
    const folder = temporaryFolder(t);
    const dir = join(folder, "run");
    writeFileSync(dir, "");
    (await examine(t, ["--dir", dir])).says(
      "error",
      "folder",
      /is no folder, it is a file$/,
      /--dir/,
    );
    rmSync(dir);
    mkdirSync(join(folder, "real"), { mode: 0o700 });
    symlinkSync(join(folder, "real"), dir);
    const linked = await examine(t, ["--dir", dir]);
    linked.says("error", "folder", /is a symbolic link/, /leads to$/);
    rmSync(dir);
    mkdirSync(dir, { mode: 0o700 });
    mkdirSync(join(dir, "default.ipc"));
    mkdirSync(join(dir, "default.shm"));
    const report = await examine(t, ["--dir", dir]);
    report.says("error", "socket", /not a socket is in its place, a folder/, /^rm /);
    report.says("error", "file", /not a file is in its place, a folder/, /^rm /);
  });

  it("asks nobody to remove what is not a supervisor's", async (t) => {
    const dir = temporaryFolder(t);
    const script = join(dir, "server.js");
    writeFileSync(script, "");
    const mistaken = await examine(t, ["--socket", script]);
    mistaken.says("error", "socket", /not a socket/, /^the path of a socket, by --socket$/);
    const folder = await examine(t, ["--socket", dir]);
    folder.says("error", "socket", /a folder/, /\/default\.ipc, by --socket$/);
    const below = await examine(t, ["--dir", join(script, "run")]);
    below.says("error", "folder", /server\.js\/run" cannot be reached: ENOTDIR$/, /another one/);
    mkdirSync(join(dir, "data"));
    const file = await examine(t, ["--dir", dir, "--path", join(dir, "data")]);
    file.says("error", "file", /a folder/, /--path$/);
    for (const { findings } of [mistaken, folder, below, file]) {
      assert.deepEqual(
        findings.filter(({ fix }) => /^(rm|mv) /.test(fix ?? "")),
        [],
      );
    }
    const named = await examine(t, ["--dir", dir, "--name", "web"]);
    named.says("warning", "supervisor", /web\.ipc/, /supervise --dir \S+ --name web$/);
  });

  it("refuses a folder and a file that everybody may write to", async (t) => {
    const dir = temporaryFolder(t);
    writeFileSync(join(dir, "default.shm"), "");
    chmodSync(join(dir, "default.shm"), 0o666);
    chmodSync(dir, 0o777);
    const report = await examine(t, ["--dir", dir]);
    report.says("error", "folder", /mode 0777: everybody may replace/, /^chmod 0700 \//);
    report.says("error", "file", /mode 0666: everybody may write/, /^chmod o= /);
  });

  it("refuses a path that is too long, as that of the lock may be", async (t) => {
    const start = `${temporaryFolder(t)}/`;
    const dir = start + "x".repeat(95 - start.length);
    const report = await examine(t, ["--dir", dir]);
    assert.deepEqual(report.errors, ["path"]);
    report.says("error", "path", /default\.shm\.lock" is 112 bytes long/, /UTILIZATION_DIR/);
    const longer = await examine(t, ["--dir", `${dir}${"y".repeat(30)}`]);
    assert.deepEqual(longer.errors, ["path"]);
  });

  it("knows how files are mapped, and who asked for it", async (t) => {
    const args = ["--dir", temporaryFolder(t)];
    const none = await examine(t, args, { UTILIZATION_MAPPING: "none" });
    none.says(
      "warning",
      "mapping",
      /^File I\/O: none was asked for/,
      /^unset UTILIZATION_MAPPING$/,
    );
    const wrong = await examine(t, args, { UTILIZATION_MAPPING: "shm" });
    assert.deepEqual(wrong.errors, ["mapping"]);
    wrong.says("error", "mapping", /not one of mmap-io/, /^unset UTILIZATION_MAPPING$/);
    const own = await examine(t, args, { UTILIZATION_MAPPING: "" });
    own.says("ok", "mapping", /^(mmap-io|koffi|deno)( [\d.]+)?: a store is seen in "/);
  });

  it("knows variables that nobody reads, or that depend on the folder", async (t) => {
    const report = await examine(t, ["--dir", temporaryFolder(t)], {
      UTILIZATION_SUPERVISER: "/x",
      UTILIZATION_SUPERVISOR: "run/a.ipc",
    });
    if (!("Deno" in globalThis)) {
      report.says("warning", "environment", /SUPERVISER is not known/, /UTILIZATION_SUPERVISOR/);
    }
    report.says("warning", "environment", /"run\/a.ipc" depends on/, /absolute/);
    report.says("ok", "environment", /UTILIZATION_SUPERVISOR=run\/a\.ipc/);
  });

  it("takes mistakes on the command line as other commands do", async (t) => {
    const { code, stderr } = await runCli(t, ["doctor", "--name", "a", "--socket", "b"]);
    assert.equal(code, 2);
    assert.match(stderr, /Cannot use --name together with --socket\nSee utilization doctor --help/);
  });

  it("refuses a folder of somebody else", { skip: singleUser }, async (t) => {
    const dir = temporaryFolder(t);
    chownSync(dir, STRANGER, STRANGER);
    const report = await examine(t, ["--dir", dir]);
    assert.deepEqual(report.errors, ["folder"]);
    report.says("error", "folder", /of user 23456, .*user 0 cannot supervise there/, /--dir/);
  });

  it("knows a file system that is full", { skip: unmountable }, async (t) => {
    const scene = new Scene(t);
    const dir = mountMemory(scene, "run", "size=128k");
    const some = await examine(t, ["--dir", dir]);
    some.says("ok", "file system", /^tmpfs at ".*\/run", in memory$/);
    some.says("warning", "room", /^12[48] KiB free: enough for 2\d\d workers/, /--shm-size/);
    writeFileSync(join(dir, "large"), new Uint8Array(126_976));
    const full = await examine(t, ["--dir", dir]);
    // The trial of the mapping may hold the last page still.
    full.says("error", "room", /^(4 KiB|0 bytes) free: too little/, /^make room/);
  });
});
