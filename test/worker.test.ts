import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { unlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Supervisor } from "../host/supervisor.ts";
import { UtilizationMonitor } from "../host/utilization_monitor.ts";
import { connect } from "../host/worker.ts";
import { afterTest } from "./support/after_test.ts";
import { ownFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";
import { until } from "./support/until.ts";

describe("a worker whose socket leads to no supervisor", () => {
  const folder = ownFolder();
  const peers = {
    "does not speak async-bus": "HTTP/1.1 400 Bad Request\r\n\r\n",
    "closes at once": "",
  };

  for (const [what, answer] of Object.entries(peers)) {
    it(`says once that it ${what}, however often it tries`, async () => {
      const socket = join(folder, `${answer.length}.ipc`);
      let tries = 0;
      const server = createServer((peer) => {
        tries++;
        peer.on("error", () => {});
        peer.resume();
        peer.end(answer);
      });
      await new Promise<void>((done) => server.listen(socket, done));
      const log = new CollectingLogger();
      const worker = connect({ name: "web", schema: { requests_total: "u64" }, socket, log });
      await until(() => tries >= 4, "it tries again and again");
      await worker.close();
      await new Promise((done) => server.close(done));
      assert.equal(log.lines.length, 1, log.lines.join("\n"));
      assert.match(log.lines[0]!, /^Cannot register with supervisor at /);
    });
  }
});

describe("close()", () => {
  const folder = ownFolder();

  it("resolves in a program that nothing else keeps alive", async (t) => {
    const log = new CollectingLogger();
    const monitor = new UtilizationMonitor({ path: join(folder, "s.shm"), log });
    const socket = join(folder, "s.ipc");
    const supervisor = await Supervisor.listen({ socket, monitors: [monitor], log });
    afterTest(t, () => supervisor.close());
    const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."));
    const program = new URL(`fixtures/closing_process${extension}`, import.meta.url);
    const command = [fileURLToPath(program), socket];
    // Rejects unless the exit code is 0.
    const { stdout } = await promisify(execFile)(process.execPath, command);
    assert.equal(stdout, "closed\n");
    assert.equal(monitor.totals().web!.requests_total, 3);
    assert.equal(monitor.detachedCount, 0);
  });
});

describe("a logger that throws", () => {
  const folder = ownFolder();

  it("does not end a worker, which finds its supervisor and counts", async (t) => {
    const socket = join(folder, "late.ipc");
    let lineCount = 0;
    const fail = (): never => {
      lineCount++;
      throw new Error("no room for a line");
    };
    const throwing = { debug: fail, info: fail, warn: fail, error: fail };
    writeFileSync(socket, "not a socket");
    const schema = { small: "U8" } as const;
    const worker = connect({ name: "web", schema, socket, log: throwing });
    await until(() => lineCount > 0, "it says what is wrong");
    worker.metrics.small.increment(1000);
    unlinkSync(socket);
    const log = new CollectingLogger();
    const monitor = new UtilizationMonitor({ path: join(folder, "late.shm"), log });
    const supervisor = await Supervisor.listen({ socket, monitors: [monitor], log });
    afterTest(t, () => supervisor.close());
    await until(() => monitor.sample().web?.small === 255, "it is read");
    await worker.close();
  });
});
