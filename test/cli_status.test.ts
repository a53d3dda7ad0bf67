import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Handler } from "../host/bus/bindings.ts";
import { Connection } from "../host/bus/connection.ts";
import { RemoteException, symbol } from "../host/bus/values.ts";
import { runCli, startCli, startWorker } from "./fixtures/cli_process.ts";
import { afterTest, type Test } from "./support/after_test.ts";
import { temporaryFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";

/** Listens as a supervisor of another make would. */
async function listen(t: Test, socket: string, methods: Record<string, Handler>): Promise<void> {
  const connections = new Set<Connection>();
  const server: Server = createServer((peer) => {
    const log = new CollectingLogger();
    const connection = new Connection({ socket: peer, accepting: true, log });
    connection.bind("supervisor", methods);
    connections.add(connection);
  });
  afterTest(t, () => {
    for (const connection of connections) connection.close();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
}

/** On a machine that is busy enough a worker is stalled. */
function withoutStalled(text: string): string {
  assert.match(text, /,"stalled":\{/);
  return text.replace(/,"stalled":\{[^}]*\}/, "");
}

describe("utilization status", () => {
  it("prints what a supervisor knows, with all digits", async (t) => {
    const dir = temporaryFolder(t);
    const cli = startCli(t, ["supervise", "--dir", dir, "--interval", "1h"]);
    await cli.until("a line", () => cli.lines.length === 1);
    const socket = join(dir, "default.ipc");
    const first = await startWorker(t, socket, "web", 2n ** 64n - 1n);
    const second = await startWorker(t, socket, "web", 2n ** 64n - 2n);

    const data =
      '"data":{"web":{"requests_total":36893488147419103229,"requests_active":6,"worker_count":2}}';
    const plain = await runCli(t, ["status", "--dir", dir]);
    assert.equal(withoutStalled(plain.stdout), `[{"type":"utilization_monitor",${data}}]\n`);
    assert.equal(plain.stderr, "");
    assert.equal(plain.code, 0);

    const totals = '"totals":{"web":{"requests_total":36893488147419103229,"worker_count":2}}';
    const withTotals = await runCli(t, ["status", "--socket", socket, "--totals"]);
    assert.equal(
      withoutStalled(withTotals.stdout),
      `[{"type":"utilization_monitor",${data},${totals}}]\n`,
    );

    const byWorker = await runCli(t, ["status", "--by-worker"], { UTILIZATION_SUPERVISOR: socket });
    assert.match(byWorker.stdout, /"requests_total":18446744073709551615[,}]/);
    assert.match(byWorker.stdout, /"requests_total":18446744073709551614[,}]/);
    const [{ workers }] = JSON.parse(byWorker.stdout);
    const ids = workers.map((worker: { processId: number }) => worker.processId);
    assert.deepEqual(ids, [first.child.pid, second.child.pid]);
    for (const { stalledFor } of workers) assert.equal(typeof stalledFor, "number");
    assert.equal(cli.lines.length, 1);
  });

  it("says so when nobody listens", async (t) => {
    const dir = temporaryFolder(t);
    const { code, stdout, stderr } = await runCli(t, ["status", "--dir", dir]);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.equal(stderr, `utilization: No supervisor listens on "${join(dir, "default.ipc")}"\n`);
  });

  it("refuses a path that is too long for a socket", async (t) => {
    const { code, stderr } = await runCli(t, ["status", "--socket", `/${"x".repeat(120)}`]);
    assert.equal(code, 1);
    assert.match(stderr, /^utilization: Cannot use socket path .* the limit is \d+\n$/);
  });

  it("asks a supervisor that knows only `status`, as those in Ruby", async (t) => {
    const socket = join(temporaryFolder(t), "supervisor.ipc");
    const service = new Map<unknown, unknown>([
      [symbol("requests_total"), 2n ** 64n - 1n],
      [symbol("load"), 0.5],
      [symbol("worker_count"), 1],
    ]);
    const monitor = new Map<unknown, unknown>([
      [symbol("type"), "UtilizationMonitor"],
      [symbol("data"), new Map([["web", service]])],
    ]);
    await listen(t, socket, { status: () => [monitor, new RemoteException("IOError", "gone")] });
    const args = ["status", "--socket", socket];
    const { code, stdout, stderr } = await runCli(t, args);
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    const data = '{"web":{"requests_total":18446744073709551615,"load":0.5,"worker_count":1}}';
    const expected = `[{"type":"UtilizationMonitor","data":${data}},{"error":"IOError: gone"}]\n`;
    assert.equal(stdout, expected);

    const asked = await runCli(t, [...args, "--totals", "--by-worker"]);
    assert.equal(asked.code, 0);
    assert.equal(asked.stdout, expected);
    assert.equal(
      asked.stderr,
      "utilization: This supervisor cannot tell --totals\n" +
        "utilization: This supervisor cannot tell --by-worker\n",
    );
  });

  it("passes on why a supervisor could not answer, on one line", async (t) => {
    const socket = join(temporaryFolder(t), "supervisor.ipc");
    await listen(t, socket, {
      status_json: () => {
        throw new RangeError("too\n\u001b[31mlarge");
      },
    });
    const { code, stdout, stderr } = await runCli(t, ["status", "--socket", socket]);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^utilization: Cannot get the status .*: too \| \u{fffd}\[31mlarge\n$/u);
  });

  it("does not print what is no JSON", async (t) => {
    const socket = join(temporaryFolder(t), "supervisor.ipc");
    await listen(t, socket, { status_json: () => '["\u001b[31m"]' });
    const { code, stdout, stderr } = await runCli(t, ["status", "--socket", socket]);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /it did not answer with JSON/);
  });

  it("does not wait for ever", async (t) => {
    const socket = join(temporaryFolder(t), "supervisor.ipc");
    await listen(t, socket, { status_json: () => new Promise(() => {}) });
    const { code, stderr } = await runCli(t, ["status", "--socket", socket]);
    assert.equal(code, 1);
    assert.match(stderr, /no answer within 5000 ms\n$/);
  });
});
