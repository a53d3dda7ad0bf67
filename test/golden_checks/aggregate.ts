// aggregate.json: scenarios through the real UtilizationMonitor.
//
// Each runs through ours; its workers answer as a worker would, by writing their segment. Where a
// flavour deviates on purpose, the expectation is what the reference makes of the fields and names
// that our rule leaves.

import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../host/log.ts";
import { UtilizationMonitor } from "../../host/utilization_monitor.ts";
import type { WorkerController } from "../../host/worker_controller.ts";
import { aggregate, decodeWorker, type Row, sizeOfType, type Value } from "../reference.ts";
import {
  bytesOf,
  type CheckResult,
  emptyResult,
  isSame,
  type Recorded,
  readGolden,
  recordedValue,
  runCase,
} from "./check.ts";

type RecordedFields = [name: string, value: Recorded][];

interface Scenario {
  flavour: string;
  segment_size: number;
  shm_size: number;
  workers: {
    id: number;
    state: { name?: Recorded };
    offset: number;
    schema: Row[];
    hex: string;
  }[];
  removed: number[];
  by_worker: [id: number, fields: RecordedFields][];
  as_json: [service: Recorded, fields: RecordedFields][];
  to_json: { string?: string };
}

/** Flavours in which we do something else on purpose: see README.md beside the data. */
const DEVIATIONS: ReadonlySet<string> = new Set(["beyond_segment", "worker_count_key", "names"]);

/** Relative to the sum of magnitudes. */
const TOLERANCE = 1e-12;

export async function checkAggregate(directory: string): Promise<CheckResult> {
  const { scenarios } = readGolden<{ scenarios: Scenario[] }>(directory, "aggregate.json");
  const result = emptyResult();
  const folder = mkdtempSync(join(tmpdir(), "golden-aggregate-"));
  try {
    for (const [index, scenario] of scenarios.entries()) {
      const { flavour } = scenario;
      if (DEVIATIONS.has(flavour)) {
        result.deviations[flavour] = (result.deviations[flavour] ?? 0) + 1;
      }
      const actual = await runScenario(scenario, join(folder, `${index}.shm`));
      runCase(result, `aggregate scenario ${index} (${flavour})`, () => compare(scenario, actual));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return result;
}

interface Actual {
  sample: Record<string, Record<string, Value>>;
  byWorker: { id: number; data: Record<string, Value> }[];
  text: string;
  plainText: string;
}

async function runScenario(scenario: Scenario, path: string): Promise<Actual> {
  const { segment_size: segmentSize, shm_size: size } = scenario;
  const monitor = new UtilizationMonitor({ path, segmentSize, size, log: silentLogger });
  try {
    for (const { id, state, offset, schema, hex } of scenario.workers) {
      const worker = {
        async setupUtilizationObserver(file: string, _size: number, given: number) {
          if (given !== offset) throw new Error(`worker ${id} was given ${given}, not ${offset}`);
          const descriptor = openSync(file, "r+");
          writeSync(descriptor, bytesOf(hex), 0, null, given);
          closeSync(descriptor);
          return schema;
        },
      };
      const name = state.name === undefined ? undefined : plainName(state.name);
      await monitor.register({ id, processId: null, state: { name }, worker });
    }
    for (const id of scenario.removed) monitor.remove({ id } as WorkerController);
    return {
      sample: monitor.sample({ bigint: true }),
      byWorker: monitor.sampleByWorker({ bigint: true }),
      text: monitor.stringify(),
      plainText: JSON.stringify(monitor),
    };
  } finally {
    await monitor.close();
  }
}

/** Symbols and Strings are one kind of text here. */
function plainName({ t, v }: Recorded): unknown {
  if (t === "nil") return null;
  return t === "int" || t === "float" ? Number(v) : v;
}

/** The fields of a row list that we decode: of one name the last row, in the first one's place. */
function usable(rows: readonly Row[], segmentSize: number): Row[] {
  const kept = new Map<string, Row>();
  for (const row of rows) {
    const [name, type, offset] = row;
    const size = sizeOfType(type);
    const fits = size !== undefined && offset >= 0 && offset + size <= segmentSize;
    if (fits && name !== "worker_count") kept.set(name, row);
  }
  return [...kept.values()];
}

function compare(scenario: Scenario, actual: Actual): void {
  const { flavour, segment_size: segmentSize } = scenario;
  const live = scenario.workers.filter(({ id }) => !scenario.removed.includes(id));
  const workers = live.map(({ id, state, schema, hex }) => {
    const segment = new Uint8Array(segmentSize);
    segment.set(bytesOf(hex).subarray(0, segmentSize));
    const name = state.name === undefined ? null : plainName(state.name);
    return {
      id,
      service: name === null ? "unknown" : String(name),
      rows: usable(schema, segmentSize),
      segment: new DataView(segment.buffer),
    };
  });
  let expected = [...aggregate(workers)].map(([service, sums]) => [service, [...sums]] as const);
  let byWorker = workers.map((worker) => [worker.id, [...decodeWorker(worker)]] as const);
  if (!DEVIATIONS.has(flavour)) {
    expected = scenario.as_json.map(([service, fields]) => [
      service.v ?? "unknown",
      values(fields),
    ]);
    byWorker = scenario.by_worker.map(([id, fields]) => [id, values(fields)]);
  }

  const ids = actual.byWorker.map(({ id }) => id).join();
  if (ids !== byWorker.map(([id]) => id).join()) throw new Error(`workers ${ids}`);
  for (const [index, [id, fields]] of byWorker.entries()) {
    sameKeys(`worker ${id}`, actual.byWorker[index]!.data, fields);
    for (const [name, value] of fields) {
      const got = actual.byWorker[index]!.data[name];
      if (!isSame(got, value)) throw new Error(`${name} of worker ${id}: got ${got}, not ${value}`);
    }
  }

  sameKeys("the sample", actual.sample, expected);
  for (const [service, fields] of expected) {
    const data = actual.sample[service]!;
    sameKeys(`service ${service}`, data, fields);
    for (const [name, value] of fields) {
      const magnitude = workers
        .filter((worker) => worker.service === service)
        .reduce((sum, worker) => sum + Math.abs(Number(decodeWorker(worker).get(name) ?? 0)), 0);
      const got = name === "worker_count" ? BigInt(data[name]!) : data[name];
      if (!isClose(got, value, magnitude)) {
        throw new Error(`${name} of ${service}: got ${got}, not ${value}`);
      }
    }
  }
  compareText(scenario, actual, expected);
}

function values(fields: RecordedFields): [string, Value][] {
  return fields.map(([name, value]) => [name, recordedValue(value)]);
}

function sameKeys(
  what: string,
  data: object,
  entries: readonly (readonly [string, unknown])[],
): void {
  // Names like "7" come first in any object; the text below shows the order of all.
  const got = Object.keys(data).join();
  const wanted = Object.keys(Object.fromEntries(entries)).join();
  if (got !== wanted) throw new Error(`${what} has ${got}, not ${wanted}`);
}

function isClose(actual: Value | undefined, expected: Value, magnitude: number): boolean {
  if (typeof expected === "bigint" || typeof actual !== "number") return actual === expected;
  if (!Number.isFinite(expected) || !Number.isFinite(magnitude)) return Object.is(actual, expected);
  return Math.abs(actual - expected) <= TOLERANCE * magnitude;
}

const NUMBER = /(?<=[:[,])-?\d[\d.eE+-]*/g;

/** The text has every digit, in the recorded order; what JSON cannot say is null. */
function compareText(
  scenario: Scenario,
  { text, plainText, sample }: Actual,
  expected: readonly (readonly [string, readonly (readonly [string, Value])[]])[],
): void {
  const written = expected.map(([service, fields]) => {
    const members = fields.map(([name]) => {
      const value = sample[service]![name]!;
      const isNumber = typeof value === "bigint" || Number.isFinite(value);
      return `${JSON.stringify(name)}:${isNumber ? value : "null"}`;
    });
    return `${JSON.stringify(service)}:{${members.join(",")}}`;
  });
  if (text !== `{${written.join(",")}}`) throw new Error(`stringify() gave ${text}`);

  const recorded = scenario.to_json.string;
  if (recorded !== undefined && !DEVIATIONS.has(scenario.flavour)) {
    if (text.replace(NUMBER, "#") !== recorded.replace(NUMBER, "#")) {
      throw new Error(`stringify() has another structure than ${recorded}`);
    }
  }
  if (JSON.stringify(JSON.parse(plainText)) !== JSON.stringify(JSON.parse(text))) {
    throw new Error(`JSON.stringify(monitor) gave ${plainText}`);
  }
}
