import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { openFile } from "../host/mapping/index.ts";
import type { MappingName } from "../host/mapping/name.ts";
import { temporaryFolder } from "./support/folder.ts";
import { forced, loads } from "./support/mapping.ts";
import { isDeno } from "./support/runtime.ts";

const MAPPINGS = (["mmap-io", "koffi", "deno"] as const).filter(loads);
const PAGE_SIZE = 4096;
const DENO_REASON = "Deno may call the C library";

/** What this runtime can map with, by looking at it rather than at our own loaders. */
function isUsable(name: string): boolean {
  if (name === "deno") return isDeno;
  if (isDeno && name === "mmap-io") return false;
  try {
    createRequire(import.meta.url)(name);
    return true;
  } catch {
    return false;
  }
}

/** Opens a file of zeros. */
function create(path: string, size: number, mapping: MappingName) {
  const file = openFile(path, { write: true, create: 0o600, mapping });
  file.resize(size);
  return file;
}

it("every library that can be loaded maps", () => {
  assert.deepEqual(MAPPINGS, ["mmap-io", "koffi", "deno"].filter(isUsable));
});

for (const mapping of MAPPINGS) {
  describe(`mapping with ${mapping}`, () => {
    it("shares stores between mappings and file reads", (t) => {
      const path = join(temporaryFolder(t), "file");
      const writer = create(path, 3 * PAGE_SIZE, mapping);
      const reader = openFile(path, { write: false, mapping });
      const mine = writer.map(0, 3 * PAGE_SIZE)!;
      const theirs = reader.map(0, 3 * PAGE_SIZE)!;
      mine[5000] = 42;
      assert.equal(theirs[5000], 42);
      assert.equal(readFileSync(path)[5000], 42);
      writer.write(Uint8Array.of(1, 2, 3), 8191);
      assert.deepEqual([...theirs.subarray(8190, 8195)], [0, 1, 2, 3, 0]);
      reader.close();
      writer.close();
    });

    it("maps exactly the range asked for, wherever it starts", (t) => {
      const file = create(join(temporaryFolder(t), "file"), 3 * PAGE_SIZE, mapping);
      for (const [offset, length] of [
        [1, 1],
        [512, 512],
        [PAGE_SIZE - 1, 2],
        [PAGE_SIZE + 24, 2 * PAGE_SIZE - 24],
        [2 * PAGE_SIZE, 16],
      ] as const) {
        const view = file.map(offset, length)!;
        assert.equal(view.length, length);
        view[0] = 7;
        view[length - 1] = 9;
        const bytes = new Uint8Array(length);
        assert.equal(file.read(bytes, offset), length);
        assert.equal(bytes[0], length === 1 ? 9 : 7);
        assert.equal(bytes[length - 1], 9);
      }
      file.close();
    });

    it("aligns a view in its buffer as in the file", (t) => {
      const file = create(join(temporaryFolder(t), "file"), PAGE_SIZE, mapping);
      const { buffer, byteOffset } = file.map(520, 512)!;
      new BigUint64Array(buffer, byteOffset, 64)[63] = 0x0102030405060708n;
      const bytes = new Uint8Array(8);
      file.read(bytes, 520 + 63 * 8);
      assert.deepEqual([...bytes], [8, 7, 6, 5, 4, 3, 2, 1]);
      file.close();
    });

    it("keeps mappings over growth, close and unlink", (t) => {
      const path = join(temporaryFolder(t), "file");
      const file = create(path, PAGE_SIZE, mapping);
      const before = file.map(0, PAGE_SIZE)!;
      before[1] = 1;
      file.resize(4 * PAGE_SIZE);
      assert.equal(file.size(), 4 * PAGE_SIZE);
      const after = file.map(0, 4 * PAGE_SIZE)!;
      before[2] = 2;
      after[3] = 3;
      after[4 * PAGE_SIZE - 1] = 4;
      file.close();
      unlinkSync(path);
      assert.deepEqual([...before.subarray(0, 4)], [0, 1, 2, 3]);
      assert.equal(after[2], 2);
    });

    it("unmap() ends one mapping and leaves the others", (t) => {
      const file = create(join(temporaryFolder(t), "file"), PAGE_SIZE, mapping);
      const kept = file.map(0, 64)!;
      for (let round = 0; round < 1000; round++) {
        const view = file.map(64, 64)!;
        view[0]!++;
        kept[0]!++;
        file.unmap(view);
      }
      const bytes = new Uint8Array(65);
      file.read(bytes, 0);
      assert.equal(kept[0], 1000 % 256);
      assert.deepEqual([bytes[0], bytes[64]], [1000 % 256, 1000 % 256]);
      file.close();
    });

    it("unmap() takes the file out of the process's mappings", async (t) => {
      if (!existsSync("/proc/self/maps")) return t.skip("needs /proc");
      if (mapping === "mmap-io" && !("transfer" in ArrayBuffer.prototype)) {
        return t.skip("this Node leaves it to the garbage collector");
      }
      const path = join(temporaryFolder(t), "file");
      const file = create(path, PAGE_SIZE, mapping);
      const view = file.map(100, 64)!;
      assert(readFileSync("/proc/self/maps", "utf8").includes(path));
      file.close();
      file.unmap(view);
      file.unmap(view);
      // Node frees what belongs to a native module in a later turn of the event loop.
      await new Promise(setImmediate);
      assert(!readFileSync("/proc/self/maps", "utf8").includes(path));
    });

    it("refuses a range that the file does not cover", (t) => {
      const path = join(temporaryFolder(t), "file");
      const file = create(path, 2048, mapping);
      assert.throws(() => file.map(1536, 513), {
        name: "RangeError",
        message: `Cannot map 513 bytes at offset 1536 of "${path}": file is 2048 bytes`,
      });
      for (const [offset, length] of [
        [0, 0],
        [0, -1],
        [-1, 10],
        [0.5, 10],
        [0, 1.5],
        [Number.NaN, 1],
        [2 ** 53, 1],
      ] as const) {
        assert.throws(() => file.map(offset, length), RangeError);
      }
      file.close();
    });

    it("reports what the system refuses", (t) => {
      const folder = temporaryFolder(t);
      mkdirSync(join(folder, "inner"));
      const directory = openFile(folder, { write: false, mapping });
      assert.throws(() => directory.map(0, 1), {
        message: `Cannot map 1 bytes at offset 0 of "${folder}": ENODEV`,
        code: "ENODEV",
        errno: -19,
        syscall: "mmap",
      });
      directory.close();
    });

    it("refuses what the library would silently cut short or abort on", (t) => {
      const file = create(join(temporaryFolder(t), "file"), 0, mapping);
      file.resize(2 ** 33);
      assert.throws(() => file.map(0, 2 ** 32 + 4096), /Cannot map .* reaches \d+ bytes/);
      if (mapping === "mmap-io") {
        assert.throws(() => file.map(2 ** 32, 4096), /mmap-io reaches 2147483647 bytes/);
      } else {
        const view = file.map(2 ** 32, 4096)!;
        view[0] = 5;
        const byte = new Uint8Array(1);
        file.read(byte, 2 ** 32);
        assert.equal(byte[0], 5);
      }
      file.close();
    });
  });
}

for (const mapping of ["none", ...MAPPINGS] as const) {
  describe(`a file opened with mapping: ${mapping}`, () => {
    it("reads, writes and reports", (t) => {
      const path = join(temporaryFolder(t), "file");
      const file = openFile(path, { write: true, create: 0o640, mapping });
      assert.equal(file.mapping, mapping);
      if (mapping === "none") assert.equal(file.map(0, 1), null);
      file.write(Uint8Array.of(1, 2, 3), 5);
      assert.equal(file.size(), 8);
      const target = new Uint8Array(6).fill(9);
      assert.equal(file.read(target, 4), 4);
      assert.deepEqual([...target], [0, 1, 2, 3, 9, 9]);
      assert.equal(file.read(target, 100), 0);
      file.resize(6);
      const stat = statSync(path, { bigint: true });
      assert.deepEqual(file.status(), {
        size: 6,
        inode: stat.ino,
        device: stat.dev,
        ownerId: Number(stat.uid),
        mode: 0o640,
        linkCount: 1,
        isFile: true,
      });
      unlinkSync(path);
      assert.equal(file.status().linkCount, 0);
      file.close();
      file.close();
      assert.throws(() => file.size(), /Cannot use ".*": it is closed/);
    });

    it("creates a file with its mode whatever the umask, and never opens an existing one", (t) => {
      const path = join(temporaryFolder(t), "file");
      const umask = process.umask(0o077);
      try {
        openFile(path, { write: true, create: 0o664, mapping }).close();
      } finally {
        process.umask(umask);
      }
      assert.equal(statSync(path).mode & 0o7777, 0o664);
      assert.throws(() => openFile(path, { write: true, create: 0o600, mapping }), {
        code: "EEXIST",
      });
    });

    it("follows no symbolic link and does not wait for a pipe", (t) => {
      const folder = temporaryFolder(t);
      writeFileSync(join(folder, "file"), "");
      symlinkSync("file", join(folder, "link"));
      assert.throws(() => openFile(join(folder, "link"), { write: false, mapping }), {
        code: "ELOOP",
      });
      if (spawnSync("mkfifo", [join(folder, "pipe")]).status === 0) {
        const pipe = openFile(join(folder, "pipe"), { write: false, mapping });
        assert.equal(pipe.status().isFile, false);
        pipe.close();
      }
    });

    it("passes on the errors of the system", (t) => {
      const path = join(temporaryFolder(t), "file");
      assert.throws(() => openFile(path, { write: true, mapping }), { code: "ENOENT" });
      writeFileSync(path, "");
      chmodSync(path, 0o400);
      const file = openFile(path, { write: false, mapping });
      assert.throws(() => file.write(Uint8Array.of(1), 0), { code: "EBADF" });
      assert.throws(() => file.resize(10));
      file.close();
    });
  });
}

describe("openFile()", () => {
  it("says which mapping is active and why", { skip: forced }, () => {
    const path = process.execPath;
    for (const mapping of [...MAPPINGS, "none"] as const) {
      const file = openFile(path, { write: false, mapping });
      assert.equal(file.mapping, mapping);
      assert.equal(file.mappingReason, `${mapping} was asked for by the option "mapping"`);
      file.close();
    }
    const file = openFile(path, { write: false });
    assert.equal(file.mapping, isDeno ? "deno" : (MAPPINGS[0] ?? "none"));
    if (isDeno) assert.equal(file.mappingReason, DENO_REASON);
    if (file.mapping === "mmap-io") assert.equal(file.mappingReason, "mmap-io loaded");
    if (file.mapping === "koffi")
      assert.match(file.mappingReason, /^mmap-io is not .*; koffi loaded$/);
    file.close();
  });

  it("takes the mapping from UTILIZATION_MAPPING, and the option first", () => {
    const before = process.env.UTILIZATION_MAPPING;
    try {
      process.env.UTILIZATION_MAPPING = "none";
      const file = openFile(process.execPath, { write: false });
      assert.equal(file.mapping, "none");
      assert.equal(file.mappingReason, "none was asked for by UTILIZATION_MAPPING");
      for (const mapping of MAPPINGS) {
        assert.equal(openFile(process.execPath, { write: false, mapping }).mapping, mapping);
      }
      process.env.UTILIZATION_MAPPING = "map";
      assert.throws(() => openFile(process.execPath, { write: false }), {
        name: "RangeError",
        message:
          'Cannot map with "map", asked for by UTILIZATION_MAPPING: ' +
          "not one of mmap-io, koffi, deno, none",
      });
    } finally {
      if (before === undefined) delete process.env.UTILIZATION_MAPPING;
      else process.env.UTILIZATION_MAPPING = before;
    }
  });

  it("refuses a mapping that is unknown, or cannot be had here", () => {
    const open = (mapping: string) =>
      openFile(process.execPath, { write: false, mapping: mapping as MappingName });
    assert.throws(() => open("shm"), RangeError);
    assert.throws(() => open(""), RangeError);
    const [name, reason] = isDeno
      ? ["mmap-io", "mmap-io cannot be used in Deno"]
      : ["deno", "this is not Deno"];
    assert.throws(() => open(name), {
      name: "Error",
      message: `Cannot map with "${name}", asked for by the option "mapping": ${reason}`,
    });
  });

  it("maps in a worker thread, and never with mmap-io", { skip: forced }, async (t) => {
    const wanted = isDeno ? "deno" : "koffi";
    if (!MAPPINGS.includes(wanted)) return t.skip(`${wanted} cannot be had`);
    const path = join(temporaryFolder(t), "file");
    const file = create(path, PAGE_SIZE, wanted);
    const view = file.map(0, PAGE_SIZE)!;
    view[0] = 1;
    const suffix = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
    const worker = new Worker(new URL(`./fixtures/mapping_thread${suffix}`, import.meta.url), {
      workerData: path,
    });
    const [mapping, reason, seen] = await new Promise<unknown[]>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    await worker.terminate();
    assert.equal(mapping, wanted);
    assert.equal(
      reason,
      isDeno ? DENO_REASON : "mmap-io cannot be used in worker threads; koffi loaded",
    );
    assert.equal(seen, 1);
    assert.equal(view[1], 2);
    file.close();
  });
});
