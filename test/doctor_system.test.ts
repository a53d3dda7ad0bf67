// What the doctor sees of a system that only root can make: users, namespaces, mounts, limits.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { it } from "node:test";
import { cliCommand } from "./fixtures/cli_process.ts";
import { fixturePath } from "./support/child.ts";
import { Report } from "./support/doctor.ts";
import { Scene } from "./support/scene.ts";
import { openFolder, run, singleUser, uncontainable } from "./support/system.ts";

const LIMIT = { timeout: 120_000 };
const USER = 12_345;
const STRANGER = 23_456;
/** `unshare` with new pids. */
const CONTAINED = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"];

/** Has the doctor look at a folder, started by another command. */
async function examineBy(command: readonly string[], dir: string): Promise<Report> {
  const [file, ...args] = [...command, ...cliCommand(["doctor", "--json", "--dir", dir])];
  const child = spawn(file!, args, { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number | null, string | null]>,
  ]);
  return new Report({ code, signal, stdout, stderr });
}

function ofUser(id: number): string[] {
  return ["setpriv", `--reuid=${id}`, `--regid=${id}`, "--clear-groups"];
}

/** The same behind what a shell does before. */
function after(script: string, command: readonly string[] = []): string[] {
  return ["sh", "-c", `set -e; ${script}; exec "$@"`, "sh", ...command];
}

async function supervised(t: Parameters<typeof Scene.supervised>[0]): Promise<Scene> {
  const scene = new Scene(t);
  const path = scene.path("default.shm");
  await scene.supervise({ path, socket: scene.path("default.ipc") });
  return scene;
}

it("a worker of another user is told what keeps it out", {
  ...LIMIT,
  skip: singleUser,
}, async (t) => {
  const scene = new Scene(t);
  const folder = openFolder(scene, "run", 0o755);
  await scene.supervise({ path: join(folder, "default.shm"), socket: join(folder, "default.ipc") });
  const report = await examineBy(ofUser(STRANGER), folder);
  report.says(
    "error",
    "socket",
    /^User 23456 may not connect to .* of user 0, mode 0600$/,
    /--group/,
  );
  report.says("warning", "journal", /^User 23456 may not read it$/, /the user of the supervisor/);
  report.isSilentAbout("supervisor");
  chmodSync(folder, 0o700);
  run("chown", `${USER}:${USER}`, folder);
  const shut = await examineBy(ofUser(STRANGER), folder);
  assert.deepEqual(shut.errors, ["socket"], "nothing that it cannot see is called wrong");
  shut.says("warning", "folder", /obeys a supervisor of its own user 23456 or of root$/);
});

it("a worker of another user is told whom to obey", { ...LIMIT, skip: singleUser }, async (t) => {
  const scene = new Scene(t);
  const folder = openFolder(scene, "run", 0o755);
  run("chown", `${USER}:${USER}`, folder);
  const supervisor = scene.child(
    "supervisor_process",
    {},
    {
      options: { execPath: "setpriv", execArgv: [...ofUser(USER).slice(1), process.execPath] },
      fixturePath,
    },
  );
  const place = { socket: join(folder, "default.ipc"), path: join(folder, "default.shm") };
  await supervisor.ask("listen", { ...place, mode: 0o666 });
  const report = await examineBy(ofUser(STRANGER), folder);
  const fix = /^connect\(\{ owners: \[12345\] \}\) in workers of user 23456$/;
  report.says("warning", "folder", /obeys a supervisor of its own user 23456 or of root$/, fix);
});

it("a journal of another user is that user's to judge", {
  ...LIMIT,
  skip: singleUser,
}, async (t) => {
  const scene = new Scene(t);
  const folder = openFolder(scene, "run", 0o755);
  const journal = join(folder, "default.shm.journal");
  writeFileSync(journal, "{}\n", { mode: 0o600 });
  for (const path of [folder, journal]) run("chown", `${USER}:${USER}`, path);
  const report = await examineBy([], folder);
  const fix = /^doctor as the user of the supervisor$/;
  report.says("error", "journal", /belongs to user 12345, not to 0$/, fix);
});

it("a file of another user is that user's to go on with", {
  ...LIMIT,
  skip: singleUser,
}, async (t) => {
  const scene = new Scene(t);
  const folder = openFolder(scene, "run", 0o755);
  const file = join(folder, "default.shm");
  writeFileSync(file, "", { mode: 0o600 });
  run("chown", `${USER}:${USER}`, folder);
  const own = await examineBy(ofUser(USER), folder);
  own.says(
    "error",
    "file",
    /of user 0, .*: no supervisor of user 12345 goes on with it$/,
    /--name/,
  );
  run("chown", `${USER}:${USER}`, file);
  const fix = /^doctor as the user of the supervisor$/;
  const root = await examineBy([], folder);
  root.says("warning", "file", /of user 12345, .*: no supervisor of user 0 goes on with it$/, fix);
});

it("a folder that this user may not write to", { ...LIMIT, skip: singleUser }, async (t) => {
  const scene = new Scene(t);
  const folder = openFolder(scene, "run", 0o755);
  const report = await examineBy(ofUser(STRANGER), folder);
  report.says("error", "folder", /user 23456 may not write to it$/, /UTILIZATION_DIR/);
  const below = await examineBy(ofUser(STRANGER), join(folder, "a", "b"));
  below.says("error", "folder", /user 23456 cannot make it in ".*\/run"$/, /RuntimeDirectory=/);
});

it("a supervisor in another pid namespace", { ...LIMIT, skip: uncontainable }, async (t) => {
  const scene = await supervised(t);
  const report = await examineBy(CONTAINED, scene.folder);
  assert.deepEqual(report.errors, []);
  report.says("warning", "processes", /has other process ids/, /shareProcessNamespace/);
  report.says("ok", "supervisor", /^utilization-monitor [\d.]+$/);
  report.says("ok", "container", /this is process 1/);
});

it("a temporary folder that is private to a service", {
  ...LIMIT,
  skip: uncontainable,
}, async (t) => {
  const scene = new Scene(t);
  const real = scene.path("systemd-private-0-app.service-1/tmp");
  mkdirSync(real, { recursive: true });
  const point = scene.path("tmp");
  mkdirSync(point, { mode: 0o700 });
  const report = await examineBy(
    [...CONTAINED, ...after(`mount --bind '${real}' '${point}'`)],
    point,
  );
  report.says("error", "file system", /PrivateTmp=yes/, /^RuntimeDirectory=utilization/);
});

it("an overlay and a read-only folder", { ...LIMIT, skip: uncontainable }, async (t) => {
  const scene = new Scene(t);
  for (const name of ["memory", "run"]) mkdirSync(scene.path(name), { mode: 0o700 });
  const memory = scene.path("memory");
  const layers = ["lower", "upper", "work"].map((name) => `${memory}/${name}`);
  const options = layers.map((path) => `${path.split("/").at(-1)}dir=${path}`).join(",");
  const folder = scene.path("run");
  const script = `mount -t tmpfs none ${memory}; mkdir -m 700 ${layers.join(" ")}; mount -t overlay -o ${options} none ${folder}`;
  const overlay = await examineBy([...CONTAINED, ...after(script)], folder);
  assert.deepEqual(overlay.errors, []);
  overlay.says("warning", "file system", /^overlay at .* other containers do not see it/, /volume/);
  const frozen = `mount -t tmpfs -o ro none ${folder}`;
  const report = await examineBy([...CONTAINED, ...after(frozen)], folder);
  report.says("error", "folder", /may not write to it/, /UTILIZATION_DIR/);
});

it("a /proc that hides others, and few descriptors", {
  ...LIMIT,
  skip: uncontainable || singleUser,
}, async (t) => {
  const scene = new Scene(t);
  const folder = openFolder(scene, "run", 0o755);
  chmodSync(folder, 0o777);
  const examined = (options: string) => {
    const script = `mount -o remount,${options} /proc; ulimit -n 300`;
    return examineBy([...CONTAINED, ...after(script, ofUser(STRANGER))], folder);
  };
  const report = await examined("hidepid=2");
  report.says("warning", "visibility", /hidepid=(2|invisible)/, /gid= of \/proc$/);
  report.says("warning", "descriptors", /^300 for a process/, /^LimitNOFILE=16384/);
  const seeing = await examined(`hidepid=2,gid=${STRANGER}`);
  seeing.says("ok", "visibility", /can be seen$/);
});

it("a /proc without the id of this start", { ...LIMIT, skip: uncontainable }, async (t) => {
  const scene = new Scene(t);
  const script = "mount -t proc -o subset=pid none /proc";
  const report = await examineBy([...CONTAINED, ...after(script)], scene.folder);
  report.says("warning", "visibility", /each supervisor begins anew$/, /ProcSubset=pid/);
});

it("a folder that workers have read-only", { ...LIMIT, skip: uncontainable }, async (t) => {
  const scene = await supervised(t);
  const { folder } = scene;
  const script = `mount --bind ${folder} ${folder}; mount -o remount,bind,ro ${folder}`;
  const report = await examineBy(["unshare", "--mount", ...after(script)], folder);
  report.says("error", "file", /user 0 may not write to it \(EROFS\)$/, /RuntimeDirectory=/);
});
