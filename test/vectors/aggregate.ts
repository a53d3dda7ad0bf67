// aggregate.txt: sums that the real UtilizationMonitor returned, from aggregate.json.
//
// Names are the host's business: an accumulator stands for a field of a service, a group for the
// workers of a service with one schema.

import { LIVE, OK, SAMPLE, SUM } from "../../assembly/layout.ts";
import type { FieldType } from "../../host/field_type.ts";
import { bytesOf, type Recorded, readGolden, recordedValue } from "../golden_checks/check.ts";
import { decodeField, type Row, sizeOfType, type Value } from "../reference.ts";
import { Members } from "./members.ts";
import { type Field, Script } from "./script.ts";

interface Scenario {
  flavour: string;
  segment_size: number;
  shm_size: number;
  workers: {
    id: number;
    state: { name: { v: string } };
    offset: number;
    schema: Row[];
    hex: string;
  }[];
  removed: number[];
  as_json: [service: { v: string }, fields: [name: string, value: Recorded][]][];
}

/** Flavours about names, and about rows that the host drops. */
const OF_THE_HOST: ReadonlySet<string> = new Set(["beyond_segment", "worker_count_key", "names"]);
/** Every how many scenarios of the others one is taken. */
const STEP = 3;
/** Ruby adds in registration order, we by group: relative to the sum of magnitudes. */
const TOLERANCE = 1e-12;

export function aggregateVectors(directory: string): string {
  const { scenarios } = readGolden<{ scenarios: Scenario[] }>(directory, "aggregate.json");
  const script = new Script("Sums over workers of several services and schemas.");
  for (const [index, scenario] of scenarios.entries()) {
    const { flavour } = scenario;
    if (OF_THE_HOST.has(flavour) || (index % STEP !== 0 && flavour !== "many")) continue;
    script.case(`aggregate_${index}_${flavour}`);
    sample(script, scenario);
  }
  return script.text();
}

function sample(script: Script, scenario: Scenario): void {
  const { segment_size: segmentSize, shm_size: size } = scenario;
  script.call("init", [segmentSize], OK);
  script.call("grow", [Math.floor(size / segmentSize)], OK);

  const sums = new Map<string, Sum>();
  const groups = new Map<string, Members>();
  const homes = new Map<number, Members>();
  for (const { id, state, offset, schema, hex } of scenario.workers) {
    const service = state.name.v;
    const rows = usable(schema, segmentSize);
    const key = JSON.stringify([service, rows]);
    let group = groups.get(key);
    if (group === undefined) {
      const fields = rows.map(([name, type, at]): Field => {
        return { type: type as FieldType, offset: at, accumulator: sumOf(service, name).index };
      });
      group = new Members(groups.size, fields);
      groups.set(key, group);
      script.group(fields, group.index);
    }
    const segment = offset / segmentSize;
    const bytes = new Uint8Array(segmentSize);
    bytes.set(bytesOf(hex).subarray(0, segmentSize));
    script.call("allocate", [id, 0], segment);
    script.call("attach", [segment, group.index], OK);
    group.add(segment, bytes);
    homes.set(id, group);
  }
  for (const { id, offset } of scenario.workers) {
    if (!scenario.removed.includes(id)) continue;
    script.call("free", [offset / segmentSize, 0], OK);
    homes.get(id)!.remove(offset / segmentSize);
  }

  script.letStage();
  script.call("reset", []);
  for (const group of groups.values()) {
    group.accumulate(script, LIVE);
    for (const bytes of group.live.values()) {
      const view = new DataView(bytes.buffer);
      for (const { type, offset, accumulator } of group.fields) {
        [...sums.values()][accumulator]!.add(decodeField(view, type, offset));
      }
    }
  }
  script.call("finish", [SAMPLE]);
  for (const sum of sums.values()) script.result(sum.index, sum.value, sum.integers);
  compare(scenario, sums);

  function sumOf(service: string, name: string): Sum {
    const key = JSON.stringify([service, name]);
    let sum = sums.get(key);
    if (sum === undefined) {
      sum = new Sum(sums.size);
      sums.set(key, sum);
      script.call("accumulator", [SUM], sum.index);
    }
    return sum;
  }
}

/** The fields of a row list that we decode: of one name the last row, in the first one's place. */
function usable(rows: readonly Row[], segmentSize: number): Row[] {
  const kept = new Map<string, Row>();
  for (const row of rows) {
    const [name, type, offset] = row;
    const size = sizeOfType(type);
    if (size !== undefined && offset >= 0 && offset + size <= segmentSize) kept.set(name, row);
  }
  return [...kept.values()];
}

/** The rule of docs/abi.md: integers exactly, floats left to right, and the two added at the end. */
class Sum {
  readonly index: number;
  magnitude = 0;
  #integer: bigint | undefined;
  #float: number | undefined;

  constructor(index: number) {
    this.index = index;
  }

  add(value: Value): void {
    if (typeof value === "bigint") this.#integer = (this.#integer ?? 0n) + value;
    else this.#float = (this.#float ?? 0) + value;
    this.magnitude += Math.abs(Number(value));
  }

  get integers(): bigint {
    return this.#integer ?? 0n;
  }

  get value(): Value | undefined {
    if (this.#float === undefined) return this.#integer;
    return this.#integer === undefined ? this.#float : Number(this.#integer) + this.#float;
  }
}

/** What is expected of the core must be what Ruby returned, float sums within the tolerance. */
function compare(scenario: Scenario, sums: ReadonlyMap<string, Sum>): void {
  let compared = 0;
  for (const [service, fields] of scenario.as_json) {
    for (const [name, value] of fields) {
      if (name === "worker_count") continue;
      const { magnitude, value: ours } = sums.get(JSON.stringify([service.v, name]))!;
      const recorded = recordedValue(value);
      const isClose =
        typeof ours === "number" && Number.isFinite(magnitude)
          ? Math.abs(ours - Number(recorded)) <= TOLERANCE * magnitude
          : Object.is(ours, recorded);
      if (!isClose) throw new Error(`${name} of ${service.v}: ${ours}, recorded ${recorded}`);
      compared++;
    }
  }
  const gathered = [...sums.values()].filter(({ value }) => value !== undefined);
  if (compared !== gathered.length) throw new Error(`${compared} of ${gathered.length} recorded`);
}
