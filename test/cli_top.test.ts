import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { runCli, startCli, startWorker } from "./fixtures/cli_process.ts";
import type { Test } from "./support/after_test.ts";
import { temporaryFolder } from "./support/folder.ts";
import { unmapped } from "./support/mapping.ts";

interface TopLine {
  readonly time: string;
  readonly services: Record<
    string,
    {
      readonly worker_count: number;
      readonly stalled_count: number;
      readonly values: Record<string, number>;
      readonly rates: Record<string, number>;
    }
  >;
  readonly workers: readonly { readonly processId: number; readonly service: string }[];
}

/** A supervisor with two workers of a service, whose counter no number can hold. */
async function supervised(t: Test): Promise<{ dir: string; pids: (number | undefined)[] }> {
  const dir = temporaryFolder(t);
  const supervisor = startCli(t, ["supervise", "--dir", dir, "--interval", "1h"]);
  await supervisor.until("it to listen", () => supervisor.stderr.includes("Listening"));
  const socket = join(dir, "default.ipc");
  const first = await startWorker(t, socket, "web", 2n ** 63n);
  const second = await startWorker(t, socket, "web", 1n);
  return { dir, pids: [first.child.pid, second.child.pid] };
}

describe("utilization top, without a terminal", () => {
  it("prints one table with rates, without escape sequences", async (t) => {
    const { dir, pids } = await supervised(t);
    const { code, stdout, stderr } = await runCli(t, ["top", "--dir", dir, "--interval", "200ms"]);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stdout, /[^\P{Cc}\n]/u);
    const lines = stdout.split("\n").map((line) => line.trim().replace(/\s+/g, " "));
    assert.equal(lines[0], "1 service, 2 workers");
    assert.deepEqual(lines.slice(-6, -4), [
      "requests requests requests",
      "service, worker workers stalled /s active total",
    ]);
    assert.match(lines.at(-4)!, /web 2 0 6 9\.22E$/);
    const label = unmapped ? " unmapped" : "";
    assert.equal(lines.at(-3), `pid ${pids[0]}${label} 0 3 9.22E`);
    assert.equal(lines.at(-2), `pid ${pids[1]}${label} 0 3 1`);
  });

  it("prints lines of JSON with all digits, and rates from the second on", async (t) => {
    const { dir, pids } = await supervised(t);
    const top = startCli(t, ["top", "--dir", dir, "--interval", "200ms", "--json"]);
    await top.until("three lines", () => top.lines.length >= 3);
    top.signal("SIGTERM");
    const { code, stderr } = await top.exit;
    assert.deepEqual([code, stderr], [0, ""]);
    const [first, second] = top.lines.map((line) => JSON.parse(line) as TopLine);
    assert.match(top.lines[0]!, /"values":\{"requests_total":9223372036854775809,/);
    assert.deepEqual(first?.services.web?.rates, {});
    assert.deepEqual(second?.services.web?.rates, { requests_total: 0 });
    assert.equal(second?.services.web?.worker_count, 2);
    assert.equal(second?.services.web?.values.requests_active, 6);
    assert.deepEqual(
      second?.workers.map(({ processId }) => processId),
      pids,
    );

    const args = ["top", "--dir", dir, "--interval", "200ms", "--once", "--json"];
    const once = await runCli(t, args);
    assert.equal(once.stdout.split("\n").length, 2);
    assert.deepEqual((JSON.parse(once.stdout) as TopLine).services.web?.rates, {
      requests_total: 0,
    });
  });

  it("reads a file in place of a supervisor", async (t) => {
    const { dir } = await supervised(t);
    const file = join(dir, "default.shm");
    const { code, stdout, stderr } = await runCli(t, [
      ...["top", "--file", file, "--interval", "200ms", "--once", "--json"],
    ]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /"requests_total":9223372036854775809,/);
    assert.match(stdout, /"stalledFor":null/);
  });

  it("says so when there is nobody to ask", async (t) => {
    const socket = join(temporaryFolder(t), "none.ipc");
    for (const args of [[], ["--json"], ["--once", "--json"]]) {
      const { code, stdout, stderr } = await runCli(t, ["top", "--socket", socket, ...args]);
      assert.deepEqual(
        [code, stdout, stderr],
        [1, "", `utilization: No supervisor listens on "${socket}"\n`],
      );
    }
    const missing = await runCli(t, ["top", "--file", socket]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /^utilization: Cannot inspect ".*none\.ipc": there is no /);
  });
});
