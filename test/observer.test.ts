import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openFile } from "../host/mapping/index.ts";
import type { MappingName } from "../host/mapping/name.ts";
import { Observer } from "../host/observer.ts";
import { Registry } from "../host/registry.ts";
import { Schema } from "../host/schema.ts";
import { SegmentImage } from "../host/segment_image.ts";
import { projectFile } from "./data.ts";
import { checkEncode } from "./golden_checks/encode.ts";
import { temporaryFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";

const MAPPINGS = (["mmap-io", "koffi", "none"] as const).filter((name) => {
  try {
    openFile(process.execPath, { write: false, mapping: name }).close();
    return true;
  } catch {
    return false;
  }
});
const schema = Schema.build({ requests_total: "u64", active: "u32", load: "f64", byte: "U8" });

function createFile(folder: string, size = 2048): string {
  const path = join(folder, "file");
  writeFileSync(path, new Uint8Array(size));
  return path;
}

/** How often this process has the file open. */
function openDescriptors(path: string): number {
  return readdirSync("/proc/self/fd").filter((descriptor) => {
    try {
      return readlinkSync(join("/proc/self/fd", descriptor)) === path;
    } catch {
      return false;
    }
  }).length;
}

async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; round < 400 && !condition(); round++) await sleep(10);
  assert(condition());
}

for (const mapping of MAPPINGS) {
  describe(`Observer with mapping ${mapping}`, () => {
    it("writes into its segment and nowhere else", (t) => {
      const path = join(temporaryFolder(t), "file");
      writeFileSync(path, new Uint8Array(2048).fill(0xee));
      // Neither a page nor a cache line.
      const observer = Observer.open({ path, size: 512, offset: 520, schema, mapping });
      assert.equal(observer.mapping, mapping);
      observer.write("requests_total", 2n ** 64n - 1n);
      observer.write("load", 0);
      observer.flush();
      const expected = new Uint8Array(2048).fill(0xee);
      expected.fill(0xff, 520, 528).fill(0, 536, 544);
      assert.deepEqual(new Uint8Array(readFileSync(path)), expected);
      assert.equal(observer.read("requests_total"), 2n ** 64n - 1n);
      assert.equal(observer.read("active"), 0xeeeeeeee);
      assert.equal(observer.read("load"), 0);
      observer.close();
    });

    it("shows every metric of a registry", (t) => {
      const path = createFile(temporaryFolder(t));
      const observer = Observer.open({ path, size: 64, offset: 64, schema, mapping });
      const registry = new Registry(schema);
      registry.metrics.active.increment(7);
      registry.attach(observer);
      // Attaching flushes: the supervisor may read at once.
      assert.equal(readFileSync(path)[64 + 8], 7);
      registry.metrics.load.set(1.5);
      registry.metrics.byte.set(9);
      observer.flush();
      const bytes = readFileSync(path);
      assert.equal(bytes.readDoubleLE(64 + 16), 1.5);
      assert.equal(bytes[64 + 24], 9);
      assert.deepEqual([observer.read("load"), observer.read("byte")], [1.5, 9]);
      observer.close();
    });

    it("goes on after the file was unlinked", (t) => {
      const path = createFile(temporaryFolder(t));
      const observer = Observer.open({ path, size: 512, offset: 0, schema, mapping });
      unlinkSync(path);
      observer.write("load", 2);
      observer.flush();
      assert.equal(observer.read("load"), 2);
      observer.close();
    });

    it("is of no use once it is closed", (t) => {
      const path = createFile(temporaryFolder(t));
      const observer = Observer.open({ path, size: 512, offset: 0, schema, mapping });
      observer.write("load", 2);
      observer.close();
      observer.close();
      observer.flush();
      assert.equal(readFileSync(path).readDoubleLE(16), 2);
      assert.throws(() => observer.write("load", 1), /Cannot access field "load": the observer is/);
      assert.throws(() => observer.read("load"), /the observer is closed/);
    });

    it("shares a file with another process", async (t) => {
      const path = createFile(temporaryFolder(t));
      const suffix = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
      const script = new URL(`./fixtures/observer_process${suffix}`, import.meta.url);
      const child = spawn(process.execPath, [fileURLToPath(script), path, "1024", mapping], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      const exit = once(child, "exit");
      await once(child.stdout, "data");
      await until(() => readFileSync(path).readDoubleLE(1032) === 0.75);
      assert.equal(readFileSync(path).readBigUInt64LE(1024), 42n);

      const reader = openFile(path, { write: false, mapping });
      const view = reader.map(1024, 512);
      child.stdin.end("go on");
      assert.deepEqual(await exit, [0, null]);
      assert.equal(readFileSync(path).readBigUInt64LE(1024), 43n);
      if (view !== null) assert.equal(view[0], 43);
      reader.close();
    });
  });
}

describe("Observer.open()", () => {
  it("refuses a segment that the file does not cover", (t) => {
    const path = createFile(temporaryFolder(t), 2048);
    const open = (offset: number, size: number) => () =>
      Observer.open({ path, offset, size, schema });
    assert.throws(open(4096, 512), {
      name: "RangeError",
      message: "Cannot observe segment at offset 4096: file is 2048 bytes",
    });
    assert.throws(open(1537, 512), /offset 1537: file is 2048 bytes/);
    assert.throws(open(-512, 512), RangeError);
    assert.throws(open(0.5, 512), RangeError);
    assert.throws(open(Number.NaN, 512), RangeError);
    assert.throws(open(0, -1), RangeError);
    assert.throws(open(0, 1.5), RangeError);
    open(1536, 512)().close();
  });

  it("refuses a schema wider than the segment before anything is written", (t) => {
    const path = createFile(temporaryFolder(t));
    assert.throws(() => Observer.open({ path, offset: 512, size: 16, schema }), {
      name: "RangeError",
      message: "Cannot observe segment at offset 512: schema takes 25 bytes, segment is 16 bytes",
    });
    assert(readFileSync(path).every((byte) => byte === 0));
  });

  it("trusts a regular file with one name only", (t) => {
    const folder = temporaryFolder(t);
    const path = createFile(folder);
    const open = (path: string) => () => Observer.open({ path, offset: 0, size: 512, schema });
    symlinkSync(path, join(folder, "symbolic"));
    assert.throws(open(join(folder, "symbolic")), { code: "ELOOP" });
    mkdirSync(join(folder, "directory"));
    assert.throws(open(join(folder, "directory")), { code: "EISDIR" });
    assert.throws(open(join(folder, "missing")), { code: "ENOENT" });
    if (existsSync("/dev/null")) assert.throws(open("/dev/null"), /is not a regular file/);
    linkSync(path, join(folder, "second"));
    assert.throws(
      open(path),
      /Cannot observe segment at offset 0: file has 2 links, it must have 1/,
    );
  });

  it("trusts a file of certain owners only", (t) => {
    const path = createFile(temporaryFolder(t));
    const own = process.geteuid!();
    const open = (owners?: number[]) => () =>
      Observer.open({ path, offset: 0, size: 512, schema, owners });
    open()().close();
    open([own + 2, own])().close();
    assert.throws(open([own + 1, own + 2]), {
      message:
        `Cannot observe segment at offset 0: file belongs to user ${own}, ` +
        `not to ${own + 1}, ${own + 2}`,
    });
    assert.throws(open([]));
  });

  it("keeps no descriptor of a file that it maps or refuses", (t) => {
    if (!existsSync("/proc/self/fd")) return t.skip("needs /proc");
    const path = createFile(temporaryFolder(t));
    const count = () => openDescriptors(path);
    assert.equal(count(), 0);
    assert.throws(() => Observer.open({ path, offset: 4096, size: 512, schema }));
    assert.equal(count(), 0);
    for (const mapping of MAPPINGS) {
      const observer = Observer.open({ path, offset: 0, size: 512, schema, mapping });
      assert.equal(count(), mapping === "none" ? 1 : 0);
      observer.close();
      assert.equal(count(), 0);
    }
  });

  it("does not map where stores could tear", (t) => {
    const path = createFile(temporaryFolder(t));
    const observer = Observer.open({ path, offset: 508, size: 512, schema });
    assert.equal(observer.mapping, "none");
    assert.equal(observer.mappingReason, "offset 508 of the segment is not a multiple of 8");
    const registry = new Registry(schema);
    registry.attach(observer);
    registry.metrics.requests_total.increment(0x0102);
    observer.flush();
    assert.deepEqual([...readFileSync(path).subarray(507, 511)], [0, 2, 1, 0]);
    observer.close();
  });

  it("takes a segment of any size", (t) => {
    const path = createFile(temporaryFolder(t), 100);
    for (const mapping of MAPPINGS) {
      const observer = Observer.open({ path, offset: 72, size: 27, schema, mapping });
      observer.write("byte", 200);
      observer.close();
      assert.equal(readFileSync(path)[96], 200);
      writeFileSync(path, new Uint8Array(100));
    }
  });
});

describe("Observer.write()", () => {
  it("follows IO::Buffer#set_value", () => {
    const { passed, failures } = checkEncode(fileURLToPath(projectFile("test/golden/")));
    assert.deepEqual(failures, []);
    assert(passed > 0);
  });

  it("names the field it does not know", (t) => {
    const path = createFile(temporaryFolder(t));
    const observer = Observer.open({ path, offset: 0, size: 512, schema });
    assert.throws(() => observer.write("nothing" as "load", 1), {
      name: "RangeError",
      message: 'Cannot access field "nothing": not in the schema',
    });
    observer.close();
  });
});

describe("Observer without a mapping", () => {
  const mapping: MappingName = "none";

  it("flushes from time to time, if something has changed", async (t) => {
    const path = createFile(temporaryFolder(t));
    const observer = Observer.open({ path, offset: 512, size: 512, schema, mapping, flushMs: 5 });
    observer.write("load", 1);
    assert.equal(readFileSync(path).readDoubleLE(528), 0);
    await until(() => readFileSync(path).readDoubleLE(528) === 1);
    // A mark of ours stays where it is: nothing is written without a change.
    const file = openFile(path, { write: true, mapping: "none" });
    file.write(Uint8Array.of(1), 1023);
    await sleep(30);
    assert.equal(readFileSync(path)[1023], 1);
    file.close();
    observer.close();
  });

  it("says once that it cannot write, and tries again", (t) => {
    const log = new CollectingLogger();
    const path = createFile(temporaryFolder(t));
    const file = openFile(path, { write: true, mapping });
    const image = new SegmentImage(file, 0, 512, 1e6, log);
    const full = () => {
      throw new Error("ENOSPC");
    };
    for (let round = 0; round < 2; round++) {
      const write = t.mock.method(file, "write", full);
      image.bytes[0]!++;
      image.flush();
      image.flush();
      assert.equal(readFileSync(path)[0], round);
      assert.equal(log.lines.length, round + 1);
      write.mock.restore();
      image.flush();
      assert.equal(readFileSync(path)[0], round + 1);
    }
    assert.equal(log.lines[0], `Cannot write segment at offset 0 of "${path}":`);
    image.close();
  });

  it("shares one exit listener between all observers", (t) => {
    const path = createFile(temporaryFolder(t));
    const before = process.listenerCount("exit");
    const observers = Array.from({ length: 4 }, (_, index) =>
      Observer.open({ path, offset: index * 512, size: 512, schema, mapping }),
    );
    assert.equal(process.listenerCount("exit"), before + 1);
    for (const observer of observers) observer.close();
    assert.equal(process.listenerCount("exit"), before);
  });
});

describe("Observer.close()", () => {
  it("unmaps when the last registry has left", (t) => {
    if (!existsSync("/proc/self/maps")) return t.skip("needs /proc");
    if (!MAPPINGS.includes("koffi")) return t.skip("needs a library that can unmap");
    const path = createFile(temporaryFolder(t));
    const isMapped = () => readFileSync("/proc/self/maps", "utf8").includes(path);
    const open = () => Observer.open({ path, offset: 512, size: 512, schema, mapping: "koffi" });

    const unused = open();
    assert(isMapped());
    unused.close();
    assert(!isMapped());

    const observer = open();
    const [first, second] = [new Registry(schema), new Registry(schema)];
    first.attach(observer);
    second.attach(observer);
    observer.close();
    first.metrics.active.increment();
    first.attach(null);
    assert(isMapped());
    second.metrics.active.increment();
    second.attach(null);
    assert(!isMapped());
    assert.deepEqual([first.metrics.active.value, second.metrics.active.value], [1, 2]);
  });

  it("pins no dead file over reconnects", (t) => {
    if (!existsSync("/proc/self/maps")) return t.skip("needs /proc");
    if (!MAPPINGS.includes("koffi")) return t.skip("needs a library that can unmap");
    const path = createFile(temporaryFolder(t));
    const registry = new Registry(schema);
    for (let round = 0; round < 200; round++) {
      const previous = registry.observer;
      registry.attach(Observer.open({ path, offset: 0, size: 512, schema, mapping: "koffi" }));
      previous?.close();
      registry.metrics.requests_total.increment();
    }
    assert.equal(registry.metrics.requests_total.value, 200);
    const maps = readFileSync("/proc/self/maps", "utf8").split("\n");
    assert.equal(maps.filter((line) => line.includes(path)).length, 1);
    const last = registry.observer;
    registry.attach(null);
    last?.close();
  });
});
