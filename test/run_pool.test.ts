import assert from "node:assert/strict";
import {
  closeSync,
  copyFileSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { commandLauncher } from "../host/runner/launch.ts";
import { Pool, type PoolOptions } from "../host/runner/pool.ts";
import { WorkerProcess } from "../host/runner/worker_process.ts";
import { isRunning } from "./fixtures/cli_process.ts";
import { afterTest, type Test } from "./support/after_test.ts";
import { temporaryFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";
import { until } from "./support/until.ts";

const BACKOFF = { firstMs: 1, longestMs: 20, random: () => 1 };
/** For ever, and ends when it is told to. */
const SLEEP = "exec sleep 1000";

/** A pool of shells that run a text. */
class Shells {
  readonly log: CollectingLogger = new CollectingLogger();
  readonly pool: Pool;
  /** All that were ever started. */
  readonly started: WorkerProcess[] = [];

  constructor(
    test: Test,
    text: string,
    options: Partial<PoolOptions> & { readonly graceMs?: number; readonly file?: string } = {},
  ) {
    const { graceMs = 10_000, file = "sh" } = options;
    const env = (number: number) => ({ ...process.env, NUMBER: String(number) });
    const launch = commandLauncher(file, ["-c", text], { env, outputs: [2, 2] });
    this.pool = new Pool({
      name: "web",
      count: 1,
      restart: "on-failure",
      backoff: BACKOFF,
      settleMs: 20,
      log: this.log,
      start: (number) => {
        const worker = new WorkerProcess(number, launch(number), graceMs);
        this.started.push(worker);
        return worker;
      },
      ...options,
    });
    this.pool.start();
    afterTest(test, async () => {
      this.pool.kill();
      await this.pool.stop();
      assert.deepEqual(this.running, []);
    });
  }

  get running(): number[] {
    return this.started.flatMap(({ pid }) => (pid !== undefined && isRunning(pid) ? pid : []));
  }
}

describe("Pool", () => {
  it("starts a crashed worker again, ever later, and says why and when", async (t) => {
    const { pool, log, started } = new Shells(t, "exit 3", {
      backoff: { firstMs: 20, random: () => 1 },
    });
    await until(() => started.length >= 4, "three restarts");
    assert.equal(pool.restarts, started.length - 1);
    const said = log.with("starting again");
    const delays = said.slice(0, 3).map((line) => /again in (\S+ s)$/.exec(line)?.[1]);
    assert.match(
      said[0]!,
      /^warn web\.1, pid \d+, ended with code 3 after 0\.\d s: starting again in/,
    );
    assert.deepEqual(delays, ["0.0 s", "0.0 s", "0.1 s"]);
    assert.equal(await pool.stop(), true);
    const count = started.length;
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.equal(started.length, count, "started after its end");
  });

  it("starts a killed worker again, and leaves the others alone", async (t) => {
    const shells = new Shells(t, SLEEP, { count: 3 });
    const [first, second, third] = shells.running;
    process.kill(second!, "SIGKILL");
    await until(() => shells.started.length === 4 && shells.running.length === 3, "another one");
    assert.equal(shells.started[3]!.number, 2);
    assert.ok([first, third].every((pid) => shells.running.includes(pid!)));
    assert.equal(shells.log.with("web.2").length, 1);
    assert.match(shells.log.with("web.2")[0]!, /was ended by SIGKILL after/);
  });

  it("does not start a worker again that ends with 0, unless it is always to be", async (t) => {
    const once = new Shells(t, "exit 0", { count: 2 });
    assert.equal(await once.pool.finished, 0);
    assert.equal(once.started.length, 2);
    const always = new Shells(t, "exit 0", { restart: "always" });
    await until(() => always.started.length >= 3, "two restarts");
  });

  it("ends with the code of all workers, where they agree and are not started again", async (t) => {
    const same = new Shells(t, "exit 5", { count: 3, restart: "never" });
    assert.equal(await same.pool.finished, 5);
    const different = new Shells(t, "exit $NUMBER", { count: 2, restart: "never" });
    assert.equal(await different.pool.finished, 1);
    assert.equal(different.started.length, 2);
  });

  it("does not go on trying what never could be started", async (t) => {
    const folder = temporaryFolder(t);
    const file = join(folder, "file");
    writeFileSync(file, "", { mode: 0o644 });
    const missing = new Shells(t, "", { file: join(folder, "missing"), count: 2 });
    assert.equal(await missing.pool.finished, 127);
    const forbidden = new Shells(t, "", { file });
    assert.equal(await forbidden.pool.finished, 126);
    assert.equal(missing.started.length + forbidden.started.length, 3);
    assert.equal(missing.log.with("error Cannot run the command").length, 2);
  });

  it("replaces workers one by one, and is never short of one", async (t) => {
    const shells = new Shells(t, SLEEP, { count: 3 });
    const before = shells.running;
    let fewest = 3;
    let most = 3;
    const watch = setInterval(() => {
      fewest = Math.min(fewest, shells.running.length);
      most = Math.max(most, shells.running.length);
    }, 1);
    await shells.pool.roll();
    clearInterval(watch);
    assert.deepEqual([fewest, most], [3, 4]);
    assert.equal(shells.running.length, 3);
    assert.ok(shells.running.every((pid) => !before.includes(pid)));
    assert.deepEqual(
      shells.started.map(({ number }) => number),
      [1, 2, 3, 1, 2, 3],
    );
    assert.match(shells.log.lines.at(-1)!, /^Replaced 3 of 3 workers of web$/);
    assert.deepEqual(shells.log.with("warn"), []);
  });

  it("keeps the old workers when a replacement fails", async (t) => {
    const broken = join(temporaryFolder(t), "broken");
    const text = `[ -e ${broken} ] && exit 4; ${SLEEP}`;
    const shells = new Shells(t, text, { count: 2 });
    const before = shells.running;
    await until(() => readCommand(before[1]!).startsWith("sleep"), "both to sleep");
    writeFileSync(broken, "");
    await shells.pool.roll();
    assert.deepEqual(shells.running, before);
    assert.equal(shells.started.length, 3);
    const [error] = shells.log.with("error");
    assert.match(
      error!,
      /web\.1, pid \d+, replacing \d+, ended with code 4: replacing no more, the/,
    );
    rmSync(broken);
    await shells.pool.roll();
    assert.equal(shells.running.filter((pid) => before.includes(pid)).length, 0);
  });

  it("keeps its workers, and tries again, while the command is being written", async (t) => {
    const folder = temporaryFolder(t);
    const file = join(folder, "shell");
    copyFileSync("/bin/sh", file);
    const shells = new Shells(t, SLEEP, { count: 2, file });
    const before = shells.running;
    const written = join(folder, "written");
    copyFileSync("/bin/sh", written);
    renameSync(written, file);
    const descriptor = openSync(file, "r+");
    await shells.pool.roll();
    assert.deepEqual(shells.running, before);
    assert.match(shells.log.with("error")[0]!, /could not be started: .*: replacing no more, the/);
    process.kill(before[0]!, "SIGKILL");
    const failures = () => shells.log.with("warn").filter((line) => /not be started/.test(line));
    await until(() => failures().length >= 2, "two restarts");
    assert.match(failures()[0]!, /web\.1, could not be started: .*: starting again in/);
    closeSync(descriptor);
    await until(() => shells.running.length === 2, "another one");
  });

  it("goes on with a replacement whose old worker has finished meanwhile", async (t) => {
    const text = 'trap "exit 0" USR1; while :; do sleep 0.02; done';
    const shells = new Shells(t, text, { settleMs: 500 });
    const [before] = shells.running;
    let finished: number | null = null;
    shells.pool.finished.then((code) => {
      finished = code;
    });
    await until(() => catchesUsr1(before!), "a trap");
    const rolled = shells.pool.roll();
    process.kill(before!, "SIGUSR1");
    await rolled;
    assert.equal(finished, null);
    assert.deepEqual(shells.running, [shells.started[1]!.pid]);
  });

  it("finishes when an old worker has, and its replacement fails", async (t) => {
    const broken = join(temporaryFolder(t), "broken");
    const text = `trap "exit 0" USR1; [ -e ${broken} ] && sleep 0.3 && exit 4; while :; do sleep 0.02; done`;
    const shells = new Shells(t, text, { settleMs: 10_000 });
    const [before] = shells.running;
    await until(() => catchesUsr1(before!), "a trap");
    writeFileSync(broken, "");
    const rolled = shells.pool.roll();
    process.kill(before!, "SIGUSR1");
    await rolled;
    assert.equal(await shells.pool.finished, 0);
  });

  it("wants a replacement that registers where the old one has", async (t) => {
    const shells = new Shells(t, SLEEP, { startMs: 200 });
    const [before] = shells.running;
    shells.pool.registered(before!);
    await shells.pool.roll();
    assert.deepEqual(shells.running, [before]);
    assert.match(shells.log.with("error")[0]!, /did not register within 0.2 s: replacing no more/);
    const rolled = shells.pool.roll();
    await until(() => shells.running.length === 2, "a replacement");
    shells.pool.registered(shells.started.at(-1)!.pid!);
    await rolled;
    assert.notDeepEqual(shells.running, [before]);
  });

  it("takes the registration of a process that a worker has started for its own", async (t) => {
    const shells = new Shells(t, `setsid ${SLEEP.slice(5)} & echo; wait`);
    const { pid } = shells.started[0]!;
    const child = await until(() => childOf(pid!), "a grandchild");
    afterTest(t, () => void process.kill(child, "SIGKILL"));
    assert.equal(shells.started[0]!.registered, false);
    shells.pool.registered(process.pid);
    assert.equal(shells.started[0]!.registered, false);
    shells.pool.registered(child);
    assert.equal(shells.started[0]!.registered, true);
  });

  it("replaces once more when it is told so meanwhile", async (t) => {
    const shells = new Shells(t, SLEEP, { count: 2 });
    await Promise.all([shells.pool.roll(), shells.pool.roll(), shells.pool.roll()]);
    assert.equal(shells.started.length, 6);
  });

  it("ends while it replaces", async (t) => {
    const shells = new Shells(t, SLEEP, { count: 2, settleMs: 100_000 });
    const rolled = shells.pool.roll();
    await until(() => shells.running.length === 3, "a replacement");
    assert.equal(await shells.pool.stop(), true);
    await rolled;
    assert.deepEqual(shells.running, []);
  });

  it("kills what does not end in time, and says so", async (t) => {
    const text = 'trap "" TERM; while :; do sleep 0.05; done';
    const shells = new Shells(t, text, { graceMs: 200 });
    const [pid] = shells.running;
    await until(() => ignoresTerm(pid!), "a deaf worker");
    assert.equal(await shells.pool.stop(), false);
    assert.equal(shells.log.with("did not end in time: killed").length, 1);
  });

  it("ends a worker that is stopped", async (t) => {
    const shells = new Shells(t, SLEEP);
    process.kill(shells.running[0]!, "SIGSTOP");
    assert.equal(await shells.pool.stop(), true);
  });

  it("leaves nothing of what a worker has started", async (t) => {
    const shells = new Shells(t, "sleep 1000 & sleep 1001 & exec sleep 1002");
    const { pid } = shells.started[0]!;
    const children = await until(() => {
      const ids = groupOf(pid!);
      return ids.length === 3 && ids;
    }, "its children");
    assert.equal(await shells.pool.stop(), true);
    assert.deepEqual(children.filter(isRunning), []);
  });
});

function readStat(pid: number | string): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}

function processIds(): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((id) => id > 0);
}

function childOf(pid: number): number | undefined {
  return processIds().find((id) => readStat(id)[1] === String(pid));
}

function groupOf(pid: number): number[] {
  return processIds().filter((id) => readStat(id)[2] === String(pid));
}

function readCommand(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8");
}

function catchesUsr1(pid: number): boolean {
  const mask = /^SigCgt:\s*(\w+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]!;
  return (BigInt(`0x${mask}`) & (1n << 9n)) !== 0n;
}

function ignoresTerm(pid: number): boolean {
  const mask = /^SigIgn:\s*(\w+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]!;
  return (BigInt(`0x${mask}`) & (1n << 14n)) !== 0n;
}
