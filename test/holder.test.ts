import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { identify, isGone, isProcessGone, mapsRange, startTimeOf } from "../host/holder.ts";
import { openFile, selectMapping } from "../host/mapping/index.ts";
import { ownFolder } from "./support/folder.ts";

const hasProc = startTimeOf(process.pid) !== null;
const hasMapping = selectMapping().mapping !== "none";

describe("startTimeOf()", { skip: !hasProc && "there is no /proc" }, () => {
  it("is the same for the life of a process, and null after it", async () => {
    const child = spawn("sleep", ["60"]);
    const time = startTimeOf(child.pid!);
    assert.match(time!, /^\d+$/);
    assert.equal(startTimeOf(child.pid!), time);
    assert.ok(Number(time) >= Number(startTimeOf(process.pid)));
    child.kill("SIGKILL");
    await once(child, "exit");
    assert.equal(startTimeOf(child.pid!), null);
  });

  it("takes a zombie for gone", async () => {
    // The shell becomes a sleep that does not wait for its child.
    const shell = spawn("sh", ["-c", "sleep 0.01 & echo $!; exec sleep 60"]);
    const [output] = await once(shell.stdout, "data");
    const zombie = Number(String(output));
    for (let tries = 0; startTimeOf(zombie) !== null; tries++) {
      assert.ok(tries < 1000, "the child has not ended");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    shell.kill("SIGKILL");
  });
});

describe("mapsRange()", {
  skip: (!hasProc || !hasMapping) && "nothing can be mapped or seen",
}, () => {
  const folder = ownFolder();

  it("finds the mapped pages of a file, and no others", () => {
    const path = join(folder, "mapped");
    writeFileSync(path, new Uint8Array(64 * 1024));
    const file = openFile(path, { write: true });
    const { inode } = file.status();
    const range = (offset: number) => ({ inode, offset, length: 512 });
    assert.equal(mapsRange(process.pid, range(0)), false);
    const view = file.map(32 * 1024, 512)!;
    assert.equal(mapsRange(process.pid, range(32 * 1024)), true);
    assert.equal(mapsRange(process.pid, range(0)), false);
    assert.equal(mapsRange(process.pid, { ...range(32 * 1024), inode: inode + 1n }), false);
    assert.equal(view.length, 512);
    file.close();
  });

  it("is null for a process that is not there", () => {
    assert.equal(mapsRange(0x7ffffffe, { inode: 1n, offset: 0, length: 1 }), null);
  });
});

describe("identify() and isGone()", { skip: !hasProc && "there is no /proc" }, () => {
  const range = { inode: 1n, offset: 0, length: 512 };
  const own = startTimeOf(process.pid);

  it("believe a start time that we see as well, and nothing else", async () => {
    const child = spawn("sleep", ["60"]);
    const startTime = startTimeOf(child.pid!);
    const known = identify(child.pid!, { startTime, incarnation: "i" }, range);
    assert.equal(known.evidence, "process");
    assert.equal(isGone(known, range), false);
    // Another process has that pid in our namespace.
    const stranger = identify(child.pid!, { startTime: "1", incarnation: "i" }, range);
    assert.equal(stranger.evidence, "none");
    assert.equal(isGone(stranger, range), null);
    // A foreign worker that does not map the file as far as we see.
    const foreign = identify(child.pid!, { startTime: null, incarnation: null }, range);
    assert.equal(foreign.evidence, "none");
    child.kill("SIGKILL");
    await once(child, "exit");
    assert.equal(isGone(known, range), true);
    assert.equal(isProcessGone(known), true);
    assert.equal(isGone(stranger, range), null);
  });

  it("take a process of the same pid for another one", () => {
    const known = identify(process.pid, { startTime: own, incarnation: null }, range);
    assert.equal(isProcessGone(known), false);
    assert.equal(isProcessGone({ ...known, startTime: "1" }), true);
  });

  it("know nothing of a worker without a pid", () => {
    const holder = identify(null, { startTime: null, incarnation: "i" }, range);
    assert.equal(holder.evidence, "none");
    assert.equal(isGone(holder, range), null);
    assert.equal(isProcessGone(holder), false);
  });
});
