import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, it } from "node:test";
import {
  parseCount,
  parseDuration,
  parseMode,
  parseSize,
  printable,
  UsageError,
} from "../host/cli/arguments.ts";
import { groupIdOf, placeToAsk, placeToSupervise } from "../host/cli/place.ts";
import { temporaryFolder } from "./support/folder.ts";

describe("parseDuration()", () => {
  it("gives milliseconds, and takes bare numbers as seconds", () => {
    const texts = ["1ms", "500ms", "10s", "10", "0.5", "1.5s", "2m", "1h", "596h"];
    const durations = texts.map((text) => parseDuration("interval", text));
    assert.deepEqual(
      durations,
      [1, 500, 10_000, 10_000, 500, 1500, 120_000, 3_600_000, 2_145_600_000],
    );
  });

  it("refuses everything else, and what a timer cannot wait for", () => {
    for (const text of ["", "0", "-1", "+1", "1 s", "1d", "s", "1e3", "Infinity", ".5", "597h"]) {
      assert.throws(() => parseDuration("interval", text), UsageError, text);
    }
  });
});

describe("parseSize()", () => {
  it("gives bytes", () => {
    const texts = ["1", "512", "512B", "32KiB", "32kib", "64MiB", "1GiB"];
    const sizes = texts.map((text) => parseSize("size", text));
    assert.deepEqual(sizes, [1, 512, 512, 32_768, 32_768, 67_108_864, 1_073_741_824]);
  });

  it("refuses everything else", () => {
    for (const text of ["", "0", "-1", "1.5MiB", "1k", "1MB", "2GiB", "1 KiB", "0x10"]) {
      assert.throws(() => parseSize("size", text), UsageError, text);
    }
  });
});

describe("parseMode()", () => {
  it("reads octal digits", () => {
    const modes = ["0600", "660", "0o644"].map((text) => parseMode("mode", text));
    assert.deepEqual(modes, [0o600, 0o660, 0o644]);
  });

  it("refuses everything else", () => {
    for (const text of ["", "0680", "06000", "6", "-600"]) {
      assert.throws(() => parseMode("mode", text), UsageError, text);
    }
  });
});

describe("parseCount()", () => {
  it("reads a whole number up to a limit", () => {
    assert.equal(parseCount("workers", "1", 4), 1);
    assert.equal(parseCount("workers", "4", 4), 4);
    for (const text of ["", "0", "5", "1.5", "-1", "1e0"]) {
      assert.throws(() => parseCount("workers", text, 4), UsageError, text);
    }
  });
});

describe("printable()", () => {
  it("makes one line without control characters", () => {
    assert.equal(printable("a\n  b\u001b[31mc\u009b"), "a | b\u{fffd}[31mc\u{fffd}");
    // What would turn the direction in which a line is read.
    assert.equal(printable("web\u202egnp.exe"), "web\u{fffd}gnp.exe");
    assert.equal(printable("\u061ca\u200eb\u200fc\u2066"), "\u{fffd}a\u{fffd}b\u{fffd}c\u{fffd}");
  });
});

describe("groupIdOf()", () => {
  it("takes numbers as they are, and looks up names", (t) => {
    const file = join(temporaryFolder(t), "group");
    writeFileSync(file, "root:x:0:\nwww-data:x:33:alice,bob\nbroken\n");
    assert.equal(groupIdOf("1234", file), 1234);
    assert.equal(groupIdOf("root", file), 0);
    assert.equal(groupIdOf("www-data", file), 33);
    assert.throws(() => groupIdOf("alice", file), /Cannot use --group "alice": not in/);
    assert.throws(() => groupIdOf("broken", file), UsageError);
    assert.throws(() => groupIdOf("root", `${file}.missing`), UsageError);
  });
});

describe("placeToSupervise()", () => {
  it("makes the folder, and names socket and file", (t) => {
    const dir = join(temporaryFolder(t), "made");
    const names = { socket: join(dir, "a.ipc"), file: join(dir, "a.shm") };
    assert.deepEqual(placeToSupervise({ dir, name: "a" }), names);
    assert.equal(placeToSupervise({ dir }).socket, join(dir, "default.ipc"));
  });

  it("takes a pair of paths", () => {
    const paths = placeToSupervise({ socket: "a.ipc", path: "b.shm" });
    assert.deepEqual(paths, { socket: resolve("a.ipc"), file: resolve("b.shm") });
    assert.throws(() => placeToSupervise({ socket: "a", path: "b", dir: "c" }), UsageError);
  });
});

describe("placeToAsk()", () => {
  it("prefers what is said to the environment", () => {
    assert.equal(placeToAsk({ socket: "a.ipc" }), resolve("a.ipc"));
    assert.equal(placeToAsk({ dir: "/x" }), "/x/default.ipc");
    assert.equal(placeToAsk({ dir: "/x", name: "a" }), "/x/a.ipc");
  });
});
