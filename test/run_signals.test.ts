import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { isRunning } from "./fixtures/cli_process.ts";
import { temporaryFolder } from "./support/folder.ts";
import { Run, script } from "./support/run.ts";
import { until } from "./support/until.ts";

/** Says its process id, and ends as soon as it is told to. */
const PLAIN = 'echo "pid $$"; exec sleep 1000';
/** Hears no SIGTERM. */
const DEAF = 'trap "" TERM; echo "pid $$"; while :; do sleep 0.05; done';

describe("utilization run, told by signals", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`ends all on ${signal} by SIGTERM, with what they have started`, async (t) => {
      const folder = temporaryFolder(t);
      // Says its process id when it is past the traps of the shell that it was a copy of.
      const child = `sh -c 'echo "pid $$"; exec sleep 1000'`;
      const text = `trap "echo told; exit 5" TERM; ${child} & echo "pid $$"; wait`;
      const run = new Run(t, ["--workers", "2", "--", script(folder, "a", text)], { folder });
      await run.until("two workers", () => run.numbers("pid").length === 4);
      run.process.signal(signal);
      const { code, stdout, stderr } = await run.exit;
      assert.equal(code, 0, stderr);
      assert.match(stdout, /a\.1 \| told/);
      assert.match(stdout, /a\.2 \| told/);
      assert.deepEqual(run.numbers("pid").filter(isRunning), []);
      assert.equal(existsSync(run.supervisorFolder), false);
    });
  }

  it("kills after the time of grace, and ends with 1", async (t) => {
    const folder = temporaryFolder(t);
    const file = script(folder, "a", DEAF);
    const run = new Run(t, ["--grace", "200ms", "--", file], { folder });
    await run.until("a worker", () => run.numbers("pid").length === 1);
    run.process.signal("SIGTERM");
    const { code, stderr } = await run.exit;
    assert.equal(code, 1);
    assert.match(stderr, /WARN a\.1, pid \d+, did not end in time: killed/);
    assert.deepEqual(run.numbers("pid").filter(isRunning), []);
  });

  it("kills at once when it is told a second time", async (t) => {
    const folder = temporaryFolder(t);
    const file = script(folder, "a", DEAF);
    const run = new Run(t, ["--grace", "1h", "--workers", "2", "--", file], { folder });
    await run.until("two workers", () => run.numbers("pid").length === 2);
    run.process.signal("SIGTERM");
    run.process.signal("SIGINT");
    const { code } = await run.exit;
    // Which one comes first is not said.
    assert.ok(code === 130 || code === 143, String(code));
    assert.deepEqual(run.numbers("pid").filter(isRunning), []);
    assert.equal(existsSync(run.supervisorFolder), false);
  });

  it("passes on signals that are meant for the workers", async (t) => {
    const folder = temporaryFolder(t);
    const traps = ["USR1", "USR2", "WINCH"].map((name) => `trap "echo got ${name}" ${name};`);
    const text = `${traps.join(" ")} echo "pid $$"; while :; do sleep 0.02; done`;
    const run = new Run(t, ["--workers", "2", "--", script(folder, "a", text)], { folder });
    await run.until("two workers", () => run.numbers("pid").length === 2);
    for (const name of ["USR1", "USR2", "WINCH"] as const) {
      run.process.signal(`SIG${name}`);
      await run.until(`two ${name}`, () => run.process.stdout.split(`got ${name}\n`).length === 3);
    }
    run.process.signal("SIGTERM");
    assert.equal((await run.exit).code, 0);
  });

  it("replaces the workers on SIGHUP", async (t) => {
    const folder = temporaryFolder(t);
    const run = new Run(t, ["--workers", "2", "--", script(folder, "a", PLAIN)], { folder });
    await run.until("two workers", () => run.numbers("pid").length === 2);
    const before = run.numbers("pid");
    run.process.signal("SIGHUP");
    await run.until("two others", () => /Replaced 2 of 2 workers of a$/m.test(run.log));
    const all = run.numbers("pid");
    assert.equal(all.length, 4);
    assert.deepEqual(
      all.filter(isRunning),
      all.filter((pid) => !before.includes(pid)),
    );
    run.process.signal("SIGTERM");
    assert.equal((await run.exit).code, 0);
  });

  it("lets no worker outlive it when it is killed", async (t) => {
    const folder = temporaryFolder(t);
    const text =
      'trap "" TERM; sleep 1000 & echo "pid $! pid $$"; wait; while :; do sleep 0.1; done';
    const words = ["--grace", "1s", "--workers", "2", "--", script(folder, "a", text)];
    const run = new Run(t, words, { folder });
    await run.until("two workers", () => run.numbers("pid").length === 4);
    const all = run.numbers("pid");
    assert.deepEqual(all.filter(isRunning), all);
    const heirs = shellsOf(run.process.child.pid!);
    assert.equal(heirs.length, 1);
    run.process.signal("SIGKILL");
    await until(() => !all.some(isRunning), "the end of all workers");
    await until(() => !heirs.some(isRunning), "the end of who has ended them");
  });

  it("says what may help when workers want one port", async (t) => {
    const folder = temporaryFolder(t);
    const text =
      '[ $UTILIZATION_WORKER = 1 ] && exec sleep 1000; echo "Error: listen EADDRINUSE" >&2; exit 1';
    const run = new Run(t, ["--workers", "2", "--", script(folder, "a", text)], { folder });
    await run.until("two failures", () => run.log.split("ended with code 1 after").length >= 3);
    assert.equal(run.log.split("Only one process can have a port: with --cluster").length, 2);
    run.process.signal("SIGTERM");
    assert.equal((await run.exit).code, 0);
  });
});

/** The children of a process that wait for its end. */
function shellsOf(pid: number): number[] {
  const lines = execFileSync("ps", ["-eo", "pid,ppid,args"], { encoding: "utf8" }).split("\n");
  return lines.flatMap((line) => {
    const [, child, parent, command] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return Number(parent) === pid && /^\S*sh -c/.test(command!) ? Number(child) : [];
  });
}
