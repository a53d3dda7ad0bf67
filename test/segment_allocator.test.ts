import assert from "node:assert/strict";
import { readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { SegmentAllocator } from "../host/segment_allocator.ts";
import { ownFolder } from "./support/folder.ts";

describe("SegmentAllocator", () => {
  const folder = ownFolder();
  const path = join(folder, "a.shm");

  it("allocate() reuses freed segments in the order they were freed", () => {
    const allocator = new SegmentAllocator(path, { size: 2048 });
    assert.deepEqual(
      [1, 2, 3, 4].map((id) => allocator.allocate(id)),
      [0, 512, 1024, 1536],
    );
    assert.ok(allocator.free(3));
    assert.ok(allocator.free(1));
    assert.equal(allocator.free(1), false);
    assert.deepEqual(
      [5, 6].map((id) => allocator.allocate(id)),
      [1024, 0],
    );
    allocator.close();
  });

  it("allocate() grows the file up to its limit, then returns null", () => {
    const allocator = new SegmentAllocator(path, { size: 4096, maxSize: 10_000 });
    for (let id = 0; id < 16; id++) assert.equal(allocator.allocate(id), id * 512);
    assert.equal(statSync(path).size, 8192);
    assert.equal(allocator.allocate(16), null);
    assert.equal(allocator.size, 8192);
    assert.ok(allocator.free(3));
    assert.equal(allocator.allocate(16), 3 * 512);
    allocator.close();
  });

  it("allocate() refuses a live id, and changes nothing", () => {
    const allocator = new SegmentAllocator(path);
    allocator.allocate(7);
    assert.throws(() => allocator.allocate(7), {
      message: "Cannot allocate a segment for worker 7: it holds one already",
    });
    assert.equal(allocator.availableCount, 63);
    allocator.close();
  });

  it("allocate() refuses ids that are no worker ids", () => {
    const allocator = new SegmentAllocator(path);
    for (const id of [-1, 1.5, 2 ** 31, Number.NaN]) {
      assert.throws(() => allocator.allocate(id), RangeError);
    }
    allocator.close();
  });

  it("allocate() zeroes the segment, and only that", () => {
    const allocator = new SegmentAllocator(path, { size: 1024 });
    allocator.file.write(new Uint8Array(1024).fill(0xff), 0);
    allocator.allocate(1);
    assert.deepEqual([...readFileSync(path)], [...Array(512).fill(0), ...Array(512).fill(0xff)]);
    allocator.close();
  });

  it("allocation() tells offset and schema", () => {
    const allocator = new SegmentAllocator(path);
    assert.equal(allocator.allocation(1), null);
    assert.equal(allocator.updateSchema(1, [["a", "u32", 0]]), false);
    allocator.allocate(1);
    assert.deepEqual(allocator.allocation(1), { segment: 0, offset: 0, schema: null });
    assert.equal(allocator.read(1), null);
    assert.ok(
      allocator.updateSchema(1, [
        ["a", "u32", 0],
        ["b", "u64", 505],
      ]),
    );
    assert.deepEqual(
      allocator.allocation(1)!.schema!.map(({ name }) => name),
      ["a"],
    );
    assert.deepEqual({ ...allocator.read(1) }, { a: 0 });
    allocator.close();
  });

  it("refuses options out of range, naming value and limits", () => {
    assert.throws(() => new SegmentAllocator(path, { segmentSize: 0 }), {
      name: "RangeError",
      message: "Cannot use segment size 0: must be an integer from 1 to 1073741824",
    });
    for (const options of [
      { size: 0 },
      { size: 2 ** 27 },
      { maxSize: 2 ** 31 },
      { growthFactor: -1 },
    ]) {
      assert.throws(() => new SegmentAllocator(path, options), RangeError);
    }
  });

  for (const mapping of [undefined, "none"] as const) {
    it(`reads values that others write, with mapping ${mapping ?? "by default"}`, () => {
      const allocator = new SegmentAllocator(path, { size: 8192, mapping });
      for (let id = 0; id < 20; id++) {
        const offset = allocator.allocate(id)!;
        allocator.updateSchema(id, [["n", "u16", 3]]);
        const bytes = new Uint8Array(8);
        bytes[3] = id;
        allocator.file.write(bytes, offset);
      }
      assert.equal(allocator.size, 16_384);
      for (let id = 0; id < 20; id++) assert.equal(allocator.read(id)!.n, id);
      allocator.close();
    });
  }

  it("survives a truncated file, says so, and keeps the last values it has read", () => {
    const allocator = new SegmentAllocator(path, { size: 8192 });
    allocator.allocate(1);
    allocator.updateSchema(1, [["n", "U8", 0]]);
    allocator.file.write(Uint8Array.of(9), 0);
    assert.equal(allocator.read(1)!.n, 9);
    truncateSync(path, 0);
    assert.equal(typeof allocator.read(1)!.n, "number");
    assert.equal(allocator.file.shrunk, true);
    assert.equal(allocator.file.mapping, "none");
    assert.match(allocator.file.mappingReason, /truncated/);
    allocator.close();
  });
});
