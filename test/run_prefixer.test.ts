import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Prefixer } from "../host/runner/prefixer.ts";

/** What becomes of pieces. */
async function prefixed(pieces: readonly Buffer[], longest?: number): Promise<string> {
  const prefixer = new Prefixer({ prefix: "a | ", continuation: "a + ", longest });
  const outputs: Buffer[] = [];
  prefixer.on("data", (output: Buffer) => {
    assert.equal(output.at(-1), 0x0a, "whole lines only");
    outputs.push(output);
  });
  const ended = new Promise((resolve) => prefixer.once("end", resolve));
  for (const piece of pieces) prefixer.write(piece);
  prefixer.end();
  await ended;
  return Buffer.concat(outputs).toString();
}

function split(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

describe("Prefixer", () => {
  it("gives the same lines whatever pieces they come in", async () => {
    const text = "one\n\nzwei ä € 😀\r\n\u001b[31mred\u001b[0m\n";
    const expected = "a | one\na | \na | zwei ä € 😀\r\na | \u001b[31mred\u001b[0m\n";
    for (let size = 1; size <= text.length; size++) {
      assert.equal(await prefixed(split(Buffer.from(text), size)), expected, `pieces of ${size}`);
    }
  });

  it("ends a last line that has no end, and adds none where nothing follows", async () => {
    assert.equal(await prefixed([Buffer.from("one\ntw"), Buffer.from("o")]), "a | one\na | two\n");
    assert.equal(await prefixed([Buffer.from("one\n")]), "a | one\n");
    assert.equal(await prefixed([]), "");
  });

  it("breaks lines that are too long, and cuts no character", async () => {
    const text = `${"😀".repeat(5)}\nb\n`;
    for (const size of [1, 3, 100]) {
      const output = await prefixed(split(Buffer.from(text), size), 10);
      assert.equal(output, "a | 😀😀\na + 😀😀\na + 😀\na | b\n", `pieces of ${size}`);
    }
    assert.equal(await prefixed([Buffer.from("12345\n")], 5), "a | 12345\n");
    assert.equal(await prefixed([Buffer.from("123456")], 5), "a | 12345\na + 6\n");
  });

  it("passes on bytes that are no text", async () => {
    const prefixer = new Prefixer({ prefix: "", continuation: "", longest: 8 });
    const bytes = Buffer.alloc(20, 0x80);
    const outputs: Buffer[] = [];
    prefixer.on("data", (output: Buffer) => outputs.push(output));
    const ended = new Promise((resolve) => prefixer.once("end", resolve));
    prefixer.end(bytes);
    await ended;
    assert.deepEqual(
      Buffer.concat(outputs).filter((byte) => byte !== 0x0a),
      bytes,
    );
  });

  it("takes no more than it can pass on", async () => {
    const prefixer = new Prefixer({ prefix: "a | ", continuation: "a + " });
    const lines = Buffer.from("line\n".repeat(1000));
    let written = 0;
    while (prefixer.write(lines) && written < 10_000) written++;
    assert.ok(written < 100, `${written} pieces were taken, and nobody read`);
    prefixer.resume();
    await new Promise((resolve) => prefixer.once("drain", resolve));
  });
});
