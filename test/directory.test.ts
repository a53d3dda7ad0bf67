import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { defaultDirectory, defaultSocket, makeDirectory, pathsIn } from "../host/directory.ts";
import { ownFolder } from "./support/folder.ts";

describe("defaultDirectory()", () => {
  it("takes the first of its sources", () => {
    const environment: Record<string, string> = { XDG_RUNTIME_DIR: "/run/user/7" };
    assert.equal(defaultDirectory(environment), "/run/user/7/utilization");
    environment.RUNTIME_DIRECTORY = "/run/one:/run/two";
    assert.equal(defaultDirectory(environment), "/run/one");
    environment.UTILIZATION_DIR = "/srv/u";
    assert.equal(defaultDirectory(environment), "/srv/u");
    assert.equal(defaultDirectory({}), join(tmpdir(), `utilization-${process.getuid?.()}`));
  });
});

describe("defaultSocket()", () => {
  it("is the supervisor's variable, else the default name in the default folder", () => {
    assert.equal(defaultSocket({ UTILIZATION_SUPERVISOR: "/a.ipc" }), "/a.ipc");
    assert.equal(defaultSocket({ UTILIZATION_DIR: "/srv/u" }), "/srv/u/default.ipc");
  });
});

describe("pathsIn()", () => {
  it("refuses names that lead elsewhere", () => {
    assert.deepEqual(pathsIn("/d", "web"), { socket: "/d/web.ipc", file: "/d/web.shm" });
    for (const name of ["", "..", "a/b", ".hidden"]) {
      assert.throws(() => pathsIn("/d", name), RangeError);
    }
  });
});

describe("makeDirectory()", () => {
  const folder = ownFolder();

  it("creates the folder for its user alone", () => {
    const path = join(folder, "a", "b");
    makeDirectory(path);
    makeDirectory(path);
    assert.equal(statSync(path).mode & 0o777, 0o700);
  });

  it("refuses a folder that others may write to, and what is no folder", () => {
    const open = join(folder, "open");
    mkdirSync(open);
    chmodSync(open, 0o777);
    assert.throws(() => makeDirectory(open), /everybody may write to it/);
    chmodSync(open, 0o1777);
    makeDirectory(open);
    writeFileSync(join(folder, "file"), "");
    assert.throws(() => makeDirectory(join(folder, "file")));
  });

  it("refuses another user's folder", { skip: process.getuid?.() !== 0 && "needs root" }, () => {
    const path = join(folder, "foreign");
    mkdirSync(path);
    chownSync(path, 12345, 12345);
    assert.throws(() => makeDirectory(path), /belongs to user 12345, not to 0/);
  });
});
