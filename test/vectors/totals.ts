// totals.txt: workers that come, detach, die and return, against a model in plain integers.

import { COUNTER, DETACHED, LIVE, OK, SAMPLE, SUM, TOTALS } from "../../assembly/layout.ts";
import type { FieldType } from "../../host/field_type.ts";
import { add, decodeField, type Value } from "../reference.ts";
import { randomFrom } from "../support/random.ts";
import { Members } from "./members.ts";
import { type Field, Script } from "./script.ts";

type Schema = readonly [type: FieldType, offset: number, aggregate: number][];

const ALIGNED: Schema = [
  ["u64", 0, COUNTER],
  ["S64", 8, COUNTER],
  ["f64", 16, COUNTER],
  ["S32", 24, COUNTER],
  ["U16", 28, SUM],
];
/** Fields across 8-byte boundaries, and the last word of a row reaches beyond its segment. */
const PACKED: Schema = [
  ["U16", 0, SUM],
  ["U64", 2, COUNTER],
  ["F32", 10, COUNTER],
  ["s64", 14, COUNTER],
  ["U8", 22, COUNTER],
  ["s16", 23, COUNTER],
];

export function totalsVectors(): string {
  const script = new Script("Samples and totals with detached and retired counters.");
  script.case("totals_aligned");
  new Service(script, ALIGNED, 40, 150).live();
  script.case("totals_bytewise");
  new Service(script, PACKED, 25, 70).live();
  return script.text();
}

/** One service of `count` segments: it writes what a host does, and keeps what must come of it. */
class Service {
  readonly #script: Script;
  readonly #schema: Schema;
  readonly #segmentSize: number;
  readonly #count: number;
  readonly #group: Members;
  readonly #retired: Value[];
  readonly #random: () => number = randomFrom(1);

  constructor(script: Script, schema: Schema, segmentSize: number, count: number) {
    this.#script = script;
    this.#schema = schema;
    this.#segmentSize = segmentSize;
    this.#count = count;
    const fields = schema.map(([type, offset], accumulator): Field => {
      return { type, offset, accumulator };
    });
    this.#group = new Members(0, fields);
    this.#retired = schema.map(([type]) => (/f/i.test(type) ? 0 : 0n));
  }

  live(): void {
    this.#begin();
    for (let worker = 0; worker < this.#count; worker++) this.#arrive(worker, worker);
    this.#sample();

    for (const segment of [3, this.#count - 1, 0]) {
      this.#script.call("detach", [segment], OK);
      this.#group.detach(segment);
    }
    this.#sample();

    const returning = this.#group.detached.get(3)!;
    this.#bury(0);
    this.#bury(3);
    this.#sample();

    // It was not dead: it comes back with its counters, in the segment that has been free longest.
    this.#takeOut(returning);
    this.#arrive(this.#count, 0, returning);
    this.#sample();

    // A live one may die without having been detached.
    this.#bury(1);
    this.#sample();
  }

  #begin(): void {
    this.#script.call("init", [this.#segmentSize], OK);
    this.#script.call("grow", [this.#count], OK);
    for (const [index, [, , aggregate]] of this.#schema.entries()) {
      this.#script.call("accumulator", [aggregate], index);
    }
    this.#script.group(this.#group.fields, 0);
    this.#script.letStage();
  }

  #arrive(worker: number, segment: number, bytes: Uint8Array = this.#randomBytes()): void {
    this.#script.call("allocate", [worker, 0], segment);
    this.#script.call("attach", [segment, 0], OK);
    this.#group.add(segment, bytes);
  }

  /** Random bits, but floats of few digits: their sums are exact in any order. */
  #randomBytes(): Uint8Array {
    const bytes = Uint8Array.from({ length: this.#segmentSize }, () => this.#random() * 256);
    const view = new DataView(bytes.buffer);
    for (const [type, offset] of this.#schema) {
      const value = Math.floor(this.#random() * 2 ** 12) / 4;
      if (type === "f64") view.setFloat64(offset, value, true);
      if (type === "F32") view.setFloat32(offset, value);
    }
    return bytes;
  }

  #bury(segment: number): void {
    const bytes = (this.#group.live.get(segment) ?? this.#group.detached.get(segment))!;
    this.#script.stage([this.#group.row(bytes)]);
    this.#script.call("retire", [0, 1], OK);
    this.#script.call("free", [segment, 0], OK);
    this.#group.remove(segment);
    this.#addTo(this.#retired, bytes, 1);
  }

  #takeOut(bytes: Uint8Array): void {
    this.#script.stage([this.#group.row(bytes)]);
    this.#script.call("retire", [0, -1], OK);
    this.#addTo(this.#retired, bytes, -1);
  }

  #addTo(sums: Value[], bytes: Uint8Array, sign: 1 | -1): void {
    const view = new DataView(bytes.buffer);
    for (const [index, [type, offset]] of this.#schema.entries()) {
      const value = decodeField(view, type, offset);
      sums[index] = add(sums[index]!, sign < 0 ? -value : value);
    }
  }

  #sample(): void {
    this.#script.call("reset", []);
    this.#group.accumulate(this.#script, LIVE);
    this.#group.accumulate(this.#script, DETACHED);
    const sums: Value[] = this.#schema.map(([type]) => (/f/i.test(type) ? 0 : 0n));
    for (const bytes of this.#group.live.values()) this.#addTo(sums, bytes, 1);
    this.#script.call("finish", [SAMPLE]);
    for (const [index, value] of sums.entries()) this.#script.result(index, value);

    for (const bytes of this.#group.detached.values()) this.#addTo(sums, bytes, 1);
    this.#script.call("finish", [TOTALS]);
    for (const [index, [, , aggregate]] of this.#schema.entries()) {
      const total = add(sums[index]!, this.#retired[index]!);
      this.#script.result(index, aggregate === COUNTER ? total : undefined);
    }
  }
}
