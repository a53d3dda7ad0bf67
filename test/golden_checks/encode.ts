// encode.json: `IO::Buffer#set_value` of any Ruby value into each type, through Observer.write.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Observer } from "../../host/observer.ts";
import { type FieldType, Schema, sizeOf } from "../../host/schema.ts";
import { type CheckResult, emptyResult, readGolden, recordedValue, runCase } from "./check.ts";

/** A Ruby value; Rational and Complex are recorded as Ruby prints them. */
interface Input {
  readonly t: string;
  readonly v?: string | boolean;
  readonly bits?: string;
}

interface EncodeData {
  cases: {
    type: FieldType;
    in: Input;
    hex?: string;
    error?: "TypeError" | "RangeError";
    hex_after?: string;
  }[];
}

export function checkEncode(directory: string): CheckResult {
  const data = readGolden<EncodeData>(directory, "encode.json");
  const result = emptyResult();
  const folder = mkdtempSync(join(tmpdir(), "golden-encode-"));
  try {
    for (const { type, in: input, hex, error, hex_after } of data.cases) {
      runCase(result, `encode ${JSON.stringify(input)} as ${type}`, () => {
        for (const value of inputsOf(input)) {
          const actual = write(join(folder, "segment"), type, value);
          const expected = { hex: hex ?? hex_after, error };
          if (actual.hex !== expected.hex || actual.error !== expected.error) {
            throw new Error(
              `${typeof value} left ${actual.hex} ${actual.error ?? ""}, ` +
                `recorded ${expected.hex} ${expected.error ?? ""}`,
            );
          }
        }
      });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return result;
}

/** Writes into a segment of 0xee bytes with one field at offset 1, as the recording did. */
function write(path: string, type: FieldType, value: unknown): { hex: string; error?: string } {
  const size = sizeOf(type) + 2;
  writeFileSync(path, new Uint8Array(size).fill(0xee));
  const schema = Schema.fromRows([["v", type, 1]]);
  const observer = Observer.open({ path, offset: 0, size, schema });
  let error: string | undefined;
  try {
    observer.write("v", value as number);
  } catch (thrown) {
    error = (thrown as Error).name;
  }
  observer.close();
  const hex = readFileSync(path).toString("hex");
  return error === undefined ? { hex } : { hex, error };
}

/** A small integer is a number and a bigint here, and both must do the same. */
function inputsOf({ t, v, bits }: Input): unknown[] {
  switch (t) {
    case "int": {
      const integer = BigInt(v as string);
      return Number.isSafeInteger(Number(integer)) ? [integer, Number(integer)] : [integer];
    }
    case "float":
      return [recordedValue({ t, bits: bits! })];
    case "nil":
      return [null, undefined];
    case "symbol":
      return [Symbol(v as string)];
    case "Rational": {
      const [numerator, denominator] = (v as string).slice(1, -1).split("/").map(Number);
      return [numerator! / denominator!];
    }
    case "Complex":
      return [Number.parseFloat((v as string).slice(1))];
    default:
      return [v];
  }
}
