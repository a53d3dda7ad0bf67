import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, readdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { FileLock } from "../host/file_lock.ts";
import { answers, checkSocketPath, LONGEST_SOCKET_PATH, listen } from "../host/unix_socket.ts";
import { ownFolder } from "./support/folder.ts";
import { isDeno } from "./support/runtime.ts";

/** A socket whose server was killed. */
function leaveStaleSocket(path: string): void {
  const script = `import("node:net").then(({ createServer }) =>
    createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL")));`;
  spawnSync(process.execPath, [isDeno ? "eval" : "-e", script]);
  assert.ok(lstatSync(path).isSocket());
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

describe("listen()", () => {
  const folder = ownFolder();
  const access = { mode: 0o600 };

  it("opens a socket for its owner alone, or with the mode it is given", async () => {
    for (const mode of [0o600, 0o660]) {
      const server = createServer();
      const path = join(folder, `mode-${mode}`);
      const mask = process.umask();
      const unlink = await listen(server, path, { mode });
      assert.equal(lstatSync(path).mode & 0o777, mode);
      assert.equal(process.umask(), mask, "the mask is as it was");
      unlink();
      await closed(server);
      assert.deepEqual(readdirSync(folder), []);
    }
  });

  it("leaves nothing behind when it cannot hand the socket over", async () => {
    const server = createServer();
    const path = join(folder, "no-such-group");
    await assert.rejects(listen(server, path, { mode: 0o600, groupId: 2 ** 40 }));
    assert.equal(server.listening, false);
    assert.deepEqual(readdirSync(folder), []);
  });

  it("replaces a socket that nobody answers on", async () => {
    const path = join(folder, "stale");
    leaveStaleSocket(path);
    assert.equal(await answers(path), false);
    const server = createServer();
    await listen(server, path, access);
    assert.equal(await answers(path), true);
    await closed(server);
  });

  it("refuses a socket that somebody answers on, and leaves it alone", async () => {
    const path = join(folder, "live");
    const first = createServer();
    await listen(first, path, access);
    await assert.rejects(listen(createServer(), path, access), {
      message: `Cannot listen on "${path}": another supervisor is listening there`,
    });
    assert.equal(await answers(path), true);
    await closed(first);
  });

  it("refuses what is not a socket", async () => {
    const path = join(folder, "file");
    writeFileSync(path, "precious");
    await assert.rejects(listen(createServer(), path, access), /something that is not a socket/);
    assert.equal(lstatSync(path).size, 8);
  });

  it("lets one of many that start at once have a stale socket", async () => {
    const path = join(folder, "race");
    leaveStaleSocket(path);
    const servers = Array.from({ length: 8 }, () => createServer());
    const results = await Promise.allSettled(servers.map((server) => listen(server, path, access)));
    const isLive = await answers(path);
    for (const server of servers) if (server.listening) await closed(server);
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    assert.ok(isLive);
  });
});

describe("checkSocketPath()", () => {
  it("names the length and the limit", () => {
    checkSocketPath(`/${"x".repeat(LONGEST_SOCKET_PATH - 1)}`);
    const path = `/${"é".repeat(LONGEST_SOCKET_PATH / 2 + 1)}`;
    assert.throws(() => checkSocketPath(path), {
      name: "RangeError",
      message: `Cannot use socket path "${path}": it is ${Buffer.byteLength(path)} bytes long, the limit is ${LONGEST_SOCKET_PATH}`,
    });
  });
});

describe("FileLock", () => {
  const folder = ownFolder();

  it("is held by one at a time, and survives a killed holder", async () => {
    const path = join(folder, "a.shm");
    const lock = await FileLock.acquire(path);
    await assert.rejects(FileLock.acquire(path), {
      message: `Cannot own shared file "${path}": another supervisor owns it`,
    });
    await lock.release();
    assert.equal(existsSync(`${path}.lock`), false);
    leaveStaleSocket(`${path}.lock`);
    const again = await FileLock.acquire(path);
    await again.release();
  });
});
