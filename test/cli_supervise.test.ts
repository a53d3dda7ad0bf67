import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { runCli, startCli, startWorker, until } from "./fixtures/cli_process.ts";
import { temporaryFolder } from "./support/folder.ts";

interface Line {
  readonly time: string;
  readonly type: string;
  readonly data: Record<string, Record<string, number>>;
  readonly totals: Record<string, Record<string, number>>;
}

describe("utilization supervise", () => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it(`prints a line at once and per interval, and cleans up on ${signal}`, async (t) => {
      const dir = temporaryFolder(t);
      const cli = startCli(t, ["supervise", "--dir", dir, "--interval", "50ms"]);
      await cli.until("three lines", () => cli.lines.length >= 3);
      const shared = ["default.shm", "default.shm.journal", "default.shm.lock"];
      assert.deepEqual(readdirSync(dir).sort(), ["default.ipc", ...shared]);
      cli.signal(signal);
      const { code, stdout, stderr } = await cli.exit;
      assert.equal(code, 0, stderr);
      assert.deepEqual(readdirSync(dir), []);
      for (const text of stdout.trimEnd().split("\n")) {
        const { time, ...rest } = JSON.parse(text) as Line;
        assert.equal(new Date(time).toISOString(), time);
        assert.deepEqual(rest, { type: "utilization_monitor", data: {}, stalled: {}, totals: {} });
        const keys = Object.keys(JSON.parse(text));
        assert.deepEqual(keys, ["time", "type", "data", "stalled", "totals"]);
      }
      assert.match(stderr, /INFO Listening on "/);
    });
  }

  it("prints at once even if the interval is long", async (t) => {
    const dir = temporaryFolder(t);
    const cli = startCli(t, ["supervise", "--dir", dir, "--interval", "100h"]);
    await cli.until("a line", () => cli.lines.length === 1);
    cli.signal("SIGTERM");
    assert.equal((await cli.exit).code, 0);
  });

  it("sums the workers of each service, and keeps the counters of one that is gone", async (t) => {
    const dir = temporaryFolder(t);
    const cli = startCli(t, ["supervise", "--name", "a", "--dir", dir, "--interval", "50ms"]);
    await cli.until("a line", () => cli.lines.length >= 1);
    const socket = join(dir, "a.ipc");
    const [first] = await Promise.all([
      startWorker(t, socket, "web", 5n),
      startWorker(t, socket, "web", 7n),
      startWorker(t, socket, "api", 2n ** 64n - 1n),
    ]);
    const seen = async (part: string): Promise<void> => {
      const from = cli.lines.length;
      await cli.until(part, () => cli.lines.slice(from).some((line) => line.includes(part)));
    };
    await seen('"web":{"requests_total":12,"requests_active":6,"worker_count":2}');
    await seen(
      '"api":{"requests_total":18446744073709551615,"requests_active":3,"worker_count":1}',
    );
    first.child.kill("SIGKILL");
    await seen('"web":{"requests_total":7,"requests_active":3,"worker_count":1}');
    await seen('"web":{"requests_total":12,"worker_count":1}');
  });

  it("refuses a socket that is taken, and does not harm who has it", async (t) => {
    const dir = temporaryFolder(t);
    const args = ["supervise", "--dir", dir, "--interval", "50ms"];
    const first = startCli(t, args);
    await first.until("a line", () => first.lines.length >= 1);
    const second = await runCli(t, args);
    assert.equal(second.code, 1);
    assert.equal(second.stdout, "");
    assert.match(
      second.stderr,
      /^utilization: Cannot listen on "[^"]*default\.ipc": another supervisor is listening there\n$/,
    );
    await startWorker(t, join(dir, "default.ipc"), "web", 1n);
    await first.until("the worker", () => first.stdout.includes('"worker_count":1'));
    first.signal("SIGTERM");
    assert.equal((await first.exit).code, 0);
  });

  it("refuses a file that is taken, and leaves no socket behind", async (t) => {
    const dir = temporaryFolder(t);
    const path = join(dir, "shared.shm");
    const first = startCli(t, ["supervise", "--socket", join(dir, "a.ipc"), "--path", path]);
    await first.until("a line", () => first.lines.length >= 1);
    const args = ["supervise", "--socket", join(dir, "b.ipc"), "--path", path];
    const second = await runCli(t, args);
    assert.equal(second.code, 1);
    assert.match(
      second.stderr,
      /^utilization: Cannot own shared file "[^"]*": another supervisor/m,
    );
    assert.deepEqual(readdirSync(dir).sort(), [
      "a.ipc",
      "shared.shm",
      "shared.shm.journal",
      "shared.shm.lock",
    ]);
  });

  it("gives socket and file the mode that it is told", async (t) => {
    const dir = temporaryFolder(t);
    const cli = startCli(t, ["supervise", "--dir", dir, "--mode", "0640", "--size", "8KiB"]);
    await cli.until("a line", () => cli.lines.length >= 1);
    const file = statSync(join(dir, "default.shm"));
    assert.equal(file.mode & 0o777, 0o640);
    assert.equal(file.size, 8192);
    assert.equal(statSync(join(dir, "default.ipc")).mode & 0o777, 0o640);
    await cli.until("a warning", () => /of mode 0700 keeps out whom mode 0640/.test(cli.stderr));
  });

  it("uses the folder of the environment", async (t) => {
    const dir = join(temporaryFolder(t), "new");
    const cli = startCli(t, ["supervise", "--name", "b"], { UTILIZATION_DIR: dir });
    await cli.until("a line", () => cli.lines.length >= 1);
    assert.ok(readdirSync(dir).includes("b.ipc"));
    assert.equal(statSync(dir).mode & 0o777, 0o700);
  });

  it("ends when nobody reads its lines any more", async (t) => {
    const dir = temporaryFolder(t);
    const cli = startCli(t, ["supervise", "--dir", dir, "--interval", "20ms"]);
    await cli.until("a line", () => cli.lines.length >= 1);
    cli.child.stdout?.destroy();
    const { code, stderr } = await cli.exit;
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, /ERROR/);
    await until("an empty folder", () => readdirSync(dir).length === 0);
  });
});
