// decode.txt: values that Ruby's `IO::Buffer#get_value` read, from decode.json.

import { BAD_ARGUMENT, OK, SUM } from "../../assembly/layout.ts";
import { FIELD_TYPES, type FieldType } from "../../host/field_type.ts";
import { bytesOf, readGolden, recordedValue } from "../golden_checks/check.ts";
import { sizeOfType } from "../reference.ts";
import { Script } from "./script.ts";

interface DecodeData {
  cases: { type: FieldType; offset: number; hex: string; value: string; double_bits?: string }[];
  errors: { type: FieldType; offset: number; size: number }[];
}

/** How many recorded values of each type at each offset are taken. */
const ROUNDS = 6;
/** A multiple of 8, so that a field keeps its place within a word, and as long as any recorded. */
const SLOT_BYTES = 24;

export function decodeVectors(directory: string): string {
  const data = readGolden<DecodeData>(directory, "decode.json");
  const script = new Script("Each type at each offset within a word and beyond, read by decode.");
  for (const type of FIELD_TYPES) decodeType(script, type, data);
  refuseRows(script, data);
  return script.text();
}

/** One group with a field for each recorded offset, each in a slot of its own. */
function decodeType(script: Script, type: FieldType, { cases }: DecodeData): void {
  const ofType = cases.filter((recorded) => recorded.type === type);
  const offsets = [...new Set(ofType.map(({ offset }) => offset))].sort((a, b) => a - b);
  const slots = offsets.map((offset) => ofType.filter((recorded) => recorded.offset === offset));

  script.case(`decode_${type}`);
  script.call("init", [slots.length * SLOT_BYTES], OK);
  script.call("accumulator", [SUM], 0);
  const fields = slots.map(([first], index) => {
    return { type, offset: index * SLOT_BYTES + first!.offset, accumulator: 0 };
  });
  script.group(fields, 0);
  script.letStage();
  for (let round = 0; round < ROUNDS; round++) {
    const row = new Uint8Array(slots.length * SLOT_BYTES);
    const chosen = slots.map((recorded) => {
      return recorded[Math.floor((round * recorded.length) / ROUNDS)]!;
    });
    for (const [index, { hex }] of chosen.entries()) row.set(bytesOf(hex), index * SLOT_BYTES);
    script.stage([row]);
    script.call("decode", [0], slots.length);
    for (const [index, { value, double_bits }] of chosen.entries()) {
      const isFloat = double_bits !== undefined;
      const recorded = isFloat ? { t: "float", bits: double_bits } : { t: "int", v: value };
      script.result(index, recordedValue(recorded));
    }
  }
}

/** A read that ends beyond the buffer is an error in Ruby; here the schema is refused. */
function refuseRows(script: Script, { errors }: DecodeData): void {
  const refused = new Map(
    errors
      .filter(({ offset }) => Math.abs(offset) < 2 ** 31)
      .map((recorded) => [`${recorded.type} ${recorded.offset}`, recorded]),
  );
  const size = errors[0]!.size;
  script.case("refuse_rows_beyond_the_segment");
  script.call("init", [size], OK);
  script.call("accumulator", [SUM], 0);
  for (const { type, offset } of refused.values()) {
    script.group([{ type, offset, accumulator: 0 }], BAD_ARGUMENT);
  }
  for (const [index, type] of FIELD_TYPES.entries()) {
    script.group([{ type, offset: size - sizeOfType(type)!, accumulator: 0 }], index);
  }
}
