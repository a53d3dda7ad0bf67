// Writes the statements of a vector file: examples/hosts/vectors.js describes them.

import * as layout from "../../assembly/layout.ts";
import { FIELD_TYPES, type FieldType } from "../../host/field_type.ts";
import type { Value } from "../reference.ts";

/** A ROW of the core: a field of a schema, and the accumulator that it goes to. */
export interface Field {
  readonly type: FieldType;
  readonly offset: number;
  readonly accumulator: number;
}

export class Script {
  readonly #lines: string[] = [];

  constructor(about: string) {
    this.#lines.push("# Written by test/vectors/make.ts.", `# ${about}`);
  }

  /** What follows runs on a fresh instance. */
  case(name: string): void {
    this.#lines.push("", `case ${name}`);
  }

  call(name: string, operands: readonly number[], answer?: number): void {
    const expected = answer === undefined ? "" : ` = ${answer}`;
    this.#lines.push(`call ${[name, ...operands].join(" ")}${expected}`);
  }

  put(address: string, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#lines.push(`put ${address} ${Buffer.from(bytes).toString("hex")}`);
  }

  /** Declares a group, and checks the answer of `group`. */
  group(fields: readonly Field[], answer: number): void {
    const rows = new DataView(new ArrayBuffer(fields.length * layout.ROW_BYTES));
    for (const [index, { type, offset, accumulator }] of fields.entries()) {
      const row = index * layout.ROW_BYTES;
      rows.setInt32(row + layout.ROW_TYPE, FIELD_TYPES.indexOf(type), true);
      rows.setInt32(row + layout.ROW_OFFSET, offset, true);
      rows.setInt32(row + layout.ROW_ACCUMULATOR, accumulator, true);
    }
    this.#lines.push(`let rows rows ${fields.length}`);
    this.put("$rows", new Uint8Array(rows.buffer));
    this.call("group", [fields.length], answer);
  }

  /** Stages these rows, `$stage` having been let. */
  stage(rows: readonly Uint8Array[]): void {
    this.put("$stage", Uint8Array.from(rows.flatMap((row) => [...row])));
  }

  letStage(): void {
    this.#lines.push("let stage stage");
  }

  /**
   * Checks a RESULT: a bigint is an integer of any size, undefined that there is no value. A float
   * may be a sum in which the integers make up `integers`.
   */
  result(index: number, value: Value | undefined, integers: bigint = 0n): void {
    this.#lines.push(`result ${index} ${recordOf(value, integers)}`);
  }

  text(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}

function recordOf(value: Value | undefined, integers: bigint): string {
  if (value === undefined) return `${layout.RESULT_NONE} 0 0 0`;
  if (typeof value === "number") {
    return `${layout.RESULT_FLOAT} ${Object.is(value, -0) ? "-0" : value} ${wordsOf(integers)}`;
  }
  const isExact = value >= -(2n ** 53n) && value <= 2n ** 53n;
  const kind = isExact ? layout.RESULT_INTEGER : layout.RESULT_WIDE;
  return `${kind} ${Number(value)} ${wordsOf(value)}`;
}

/** The two words of a 128-bit integer, the low one unsigned. */
function wordsOf(value: bigint): string {
  return `${BigInt.asUintN(64, value)} ${BigInt.asIntN(64, value >> 64n)}`;
}
