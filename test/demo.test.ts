import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { isRunning, type Process, runCli, startCli, until } from "./fixtures/cli_process.ts";
import { temporaryFolder } from "./support/folder.ts";

interface Line {
  readonly stalled: Record<string, number>;
  readonly data: Record<string, Record<string, number>>;
  readonly totals: Record<string, Record<string, number>>;
}

interface WorkerLine {
  readonly processId: number;
  readonly mapping: string;
  readonly stalledFor: number;
  readonly data: { readonly requests_total: number };
}

/** The processes that the demo has started, as it says in its log. */
function processIds(log: string): number[] {
  return [...log.matchAll(/Started .*?pid (\d+)/g)].map(([, id]) => Number(id));
}

function blockedProcess(demo: Process): number {
  return Number(/pid (\d+), goes into an endless loop/.exec(demo.stderr)?.[1]);
}

async function workersOf(t: { after(action: () => void): void }, demo: Process) {
  const [, socket] = /Listening on "(.*)"/.exec(demo.stderr) ?? [];
  const { stdout, stderr } = await runCli(t, ["status", "--by-worker", "--socket", socket!]);
  assert.equal(stderr, "");
  return JSON.parse(stdout)[0].workers as WorkerLine[];
}

describe("utilization demo", () => {
  it("ends after its duration with a line of both services, and leaves nothing", async (t) => {
    const folder = temporaryFolder(t);
    const { code, stdout, stderr } = await runCli(
      t,
      ["demo", "--workers", "3", "--duration", "2", "--json"],
      { XDG_RUNTIME_DIR: folder },
    );
    assert.equal(code, 0, stderr);
    assert.equal(stdout.includes("\x1b"), false);
    const lines = stdout.trimEnd().split("\n");
    assert.ok(lines.length >= 2);
    const { data, totals } = JSON.parse(lines.at(-1)!) as Line;
    assert.deepEqual(Object.keys(data).sort(), ["api", "web"]);
    assert.equal(data.web?.worker_count, 2);
    assert.equal(data.api?.worker_count, 1);
    for (const service of ["web", "api"]) {
      const fields = ["requests_total", "requests_active", "bytes_sent_total", "worker_count"];
      assert.deepEqual(Object.keys(data[service]!), fields);
      // Read a moment later.
      assert.ok(totals[service]!.requests_total! >= data[service]!.requests_total!);
    }
    const ids = processIds(stderr);
    assert.equal(ids.length, 4);
    assert.deepEqual(ids.filter(isRunning), []);
    assert.deepEqual(readdirSync(folder), []);
  });

  it("serves requests, replaces a server that is killed, and ends on SIGINT", async (t) => {
    const folder = temporaryFolder(t);
    const demo = startCli(t, ["demo", "--workers", "1", "--interval", "50ms"], {
      XDG_RUNTIME_DIR: folder,
    });
    const last = (): Line => JSON.parse(demo.lines.at(-1) ?? '{"data":{},"totals":{}}');
    await demo.until("requests", () => (last().data.web?.requests_total ?? 0) > 10);
    assert.deepEqual(Object.keys(last().data), ["web"]);
    const counted = last().data.web!.requests_total!;
    const server = Number(/Started web server, pid (\d+)/.exec(demo.stderr)?.[1]);
    process.kill(server, "SIGKILL");
    await demo.until("another server", () => {
      const line = last();
      const live = line.data.web?.requests_total ?? 0;
      return live > 0 && (line.totals.web?.requests_total ?? 0) >= live + counted;
    });
    demo.signal("SIGINT");
    const { code, stderr } = await demo.exit;
    assert.equal(code, 0, stderr);
    assert.equal(last().data.web?.worker_count, 1);
    assert.match(stderr, new RegExp(`pid ${server}, ended \\(SIGKILL\\), starting another`));
    assert.deepEqual(processIds(stderr).filter(isRunning), []);
    assert.deepEqual(readdirSync(folder), []);
  });

  it("reads the counter of a blocked server, and no process outlives it", async (t) => {
    const folder = temporaryFolder(t);
    const demo = startCli(t, ["demo", "--block", "--json"], { XDG_RUNTIME_DIR: folder });
    await demo.until("a blocked server", () => blockedProcess(demo) > 0);
    const blocked = blockedProcess(demo);
    const read = async (): Promise<WorkerLine> => {
      const workers = await workersOf(t, demo);
      assert.equal(workers.length, 4);
      return workers.find(({ processId }) => processId === blocked)!;
    };
    const before = await read();
    if (before.mapping !== "none") {
      await until("its counter to rise", async () => {
        return (await read()).data.requests_total > before.data.requests_total + 100;
      });
    }
    await until("it to be stalled", async () => (await read()).stalledFor > 0);
    const last = (): Line => JSON.parse(demo.lines.at(-1)!);
    await demo.until("a line that says so", () => last().stalled.api === 1);
    assert.match(demo.stderr, new RegExp(`pid ${blocked}, is stalled: no heartbeat for`));
    const ids = processIds(demo.stderr);
    assert.equal(ids.length, 5);
    assert.deepEqual(ids.filter(isRunning), ids);
    demo.child.kill("SIGKILL");
    await until("the end of all processes", () => !ids.some(isRunning));
  });
});
