// What a sample costs: the whole `monitor.sample()` to the JavaScript object, the look at the
// file's size included, with lines that this process has read before ("hot").

import { aggregate } from "../reference.ts";
import type { CRival } from "./c_rival.ts";
import { COPIES, openCRival, SUMS } from "./c_rival.ts";
import { Fleet, ROWS } from "./fleet.ts";
import { measureJustWritten } from "./just_written.ts";
import { copyRows, sumArrayHalves, sumBigints, sumDataViewHalves } from "./plain_javascript.ts";
import { progress, type Results } from "./results.ts";
import { type Contestant, interleave, repeated, timed, warmUp } from "./rounds.ts";
import { makeRow, type Rival, type Target } from "./row.ts";
import type { Settings } from "./settings.ts";

const OURS = "core";
const SCALAR = "core.wasm";
/** Ruby 3.3 with YJIT, `as_json` by number of workers; of fields that are half u64, half u32. */
const RUBY_NS: Readonly<Record<number, { ns: number; target: number }>> = {
  64: { ns: 117_000, target: 15 },
  10000: { ns: 21_700_000, target: 150 },
};
/** The scale that the targets against C and plain JavaScript speak of. */
const TARGET_SIZE = 10_000;

/** Of these, the lines of the smaller one fit into the writer's own cache. */
const JUST_WRITTEN_SIZES: readonly number[] = [1000, TARGET_SIZE];

/** The figures of `monitor.sample()` by number of workers, in nanoseconds. */
export type SampleFigures = ReadonlyMap<number, readonly number[]>;

export async function measureSamples(
  folder: string,
  settings: Settings,
  results: Results,
): Promise<void> {
  const figures = new Map<number, readonly number[]>();
  for (const size of settings.sizes) {
    progress(`samples: ${size} workers`);
    const fleet = await Fleet.create(folder, size);
    const c = await openCRival(fleet, folder).catch((error: Error) => {
      results.skip(`sample, ${size} workers, against C`, error.message);
      return null;
    });
    figures.set(size, await measureHot(fleet, c, folder, settings, results));
    if (JUST_WRITTEN_SIZES.includes(size)) {
      await measureJustWritten(fleet, c, folder, settings, results, size === TARGET_SIZE);
    }
    c?.close();
    if (size === settings.sizes.at(-1)) reportRegistrations(fleet, results);
    await fleet.close();
  }
  reportCostPerWorker(figures, results);
}

async function measureHot(
  fleet: Fleet,
  c: CRival | null,
  folder: string,
  settings: Settings,
  results: Results,
): Promise<readonly number[]> {
  const { monitor, size } = fleet;
  const scalar = size === TARGET_SIZE ? await scalarFleet(folder, results) : null;
  warmUp(settings, ...[monitor, scalar?.monitor].map((one) => () => one?.sample()));
  const figures = await interleave(
    [
      timed(OURS, () => monitor.sample(), settings),
      ...(scalar === null ? [] : [timed(SCALAR, () => scalar.monitor.sample(), settings)]),
      ...plainContestants(fleet, settings, results),
      ...(c === null ? [] : await cContestants(fleet, c, settings, results)),
    ],
    settings,
  );
  await scalar?.close();
  const ours = figures.get(OURS)!;
  const microseconds = (ns: readonly number[]): number[] => ns.map((figure) => figure / 1000);
  const us = microseconds(ours);
  const compare = (
    against: string,
    rivalName: string,
    name: string,
    { target, faster = false }: { target?: Target; faster?: boolean } = {},
  ): void => {
    const found = figures.get(rivalName);
    if (found === undefined) return;
    const rival: Rival = { name, figures: microseconds(found) };
    const at = size === TARGET_SIZE && target !== undefined ? { target } : {};
    const row = `sample, ${size} workers, against ${against}`;
    results.add(makeRow(row, "µs", us, { rival, faster, ...at }));
  };

  if (size === 64) {
    const target = { atMost: 8 };
    results.add(makeRow("sample, 64 workers, end to end", "µs", us, { target }));
  }
  const plan = "the same generic plan in C";
  compare("C", SUMS_IN_C, plan, { target: { timesRival: 2 } });
  const [ofScalar, ofC] = [figures.get(SCALAR), figures.get(SUMS_IN_C)];
  if (ofScalar !== undefined) {
    const row = `sample, ${size} workers, ${SCALAR} without vectors`;
    const scalarUs = microseconds(ofScalar);
    if (ofC !== undefined) {
      const rival = { name: plan, figures: microseconds(ofC) };
      results.add(
        makeRow(`${row}, against C`, "µs", scalarUs, { rival, target: { timesRival: 3 } }),
      );
    }
    const rival = { name: "core.simd.wasm", figures: us };
    results.add(makeRow(row, "µs", scalarUs, { rival }));
  }
  compare("memcpy", COPIES_IN_C, "memcpy in C of the bytes read");
  compare("Uint8Array.set", SET, "Uint8Array.set of the bytes read");
  const best = bestOf(figures, [DATA_VIEW_HALVES, ARRAY_HALVES]);
  compare("best JavaScript", best, best, { target: { timesFaster: 2 }, faster: true });
  compare("getBigUint64", BIGINTS, BIGINTS, { target: { timesFaster: 20 }, faster: true });
  compare("reference decoder", REFERENCE, REFERENCE, { faster: true });
  const ruby = RUBY_NS[size];
  if (ruby !== undefined) {
    results.add(
      makeRow(`sample, ${size} workers, against Ruby`, "µs", us, {
        rival: { name: "Ruby 3.3 + YJIT, recorded", figures: [ruby.ns / 1000] },
        target: { timesFaster: ruby.target },
      }),
    );
  }
  return ours;
}

const SUMS_IN_C = "sums in C";
const COPIES_IN_C = "copies in C";
const SET = "set";
const DATA_VIEW_HALVES = "DataView, two getUint32";
const ARRAY_HALVES = "Uint32Array, two halves";
const BIGINTS = "DataView.getBigUint64";
const REFERENCE = "test/reference.ts";
/** Beyond, the reference decoder takes seconds. */
const LARGEST_REFERENCE = 10_000;

/** A fleet of the same size whose monitor has the build of the core without vectors. */
async function scalarFleet(folder: string, results: Results): Promise<Fleet> {
  const core = new URL(import.meta.resolve("#core.wasm"));
  const fleet = await Fleet.create(folder, TARGET_SIZE, 1, undefined, core);
  const { monitor, services } = fleet;
  const sample = monitor.sample({ bigint: true })[services[0]!]!;
  const sums = ROWS.map(([name]) => sample[name]);
  results.check(`${SCALAR}, ${TARGET_SIZE} workers`, sums, fleet.sums(services[0]!));
  return fleet;
}

function plainContestants(fleet: Fleet, settings: Settings, results: Results): Contestant[] {
  const { offsets, size } = fleet;
  const { bytes } = fleet.view();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const halves = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  const fields = ROWS.map(([, , offset]) => offset);
  const rowBytes = ROWS.length * 8;
  const copies = new Uint8Array(offsets.length * rowBytes);
  const actions: Record<string, () => bigint[] | undefined> = {
    [BIGINTS]: () => sumBigints(view, offsets, fields),
    [DATA_VIEW_HALVES]: () => sumDataViewHalves(view, offsets, fields),
    [ARRAY_HALVES]: () => sumArrayHalves(halves, offsets, fields),
  };
  const service = fleet.services[0]!;
  if (size <= LARGEST_REFERENCE) {
    const workers = Array.from(offsets, (offset) => ({
      service,
      rows: ROWS,
      segment: new DataView(bytes.buffer, bytes.byteOffset + offset, rowBytes),
    }));
    actions[REFERENCE] = () => {
      const sums = aggregate(workers).get(service)!;
      return ROWS.map(([name]) => sums.get(name) as bigint);
    };
  }
  const expected = fleet.sums(service);
  for (const [name, action] of Object.entries(actions)) {
    results.check(`${name}, ${size} workers`, action(), expected);
  }
  const copy = (): void => copyRows(copies, bytes, offsets, rowBytes);
  copy();
  results.check(`copies, ${size} workers`, sumOfWords(copies), wrapped(expected));
  return [
    ...Object.entries(actions).map(([name, action]) => timed(name, action, settings)),
    timed(SET, copy, settings),
  ];
}

async function cContestants(
  fleet: Fleet,
  c: CRival,
  settings: Settings,
  results: Results,
): Promise<Contestant[]> {
  const { size } = fleet;
  const expected = fleet.services.flatMap((service) => fleet.sums(service));
  await c.run(SUMS, 1);
  results.check(`C, ${size} workers`, c.sums(), expected);
  await c.run(COPIES, 1);
  results.check(`memcpy, ${size} workers`, c.copied(), wrapped(expected));
  // One call is long enough that asking for it does not count.
  const passes = Math.max(1, Math.round(20_000 / size));
  const contestant = (name: string, kernel: typeof SUMS | typeof COPIES): Contestant => {
    const call = (): number | Promise<number> => {
      const ns = c.run(kernel, passes);
      return typeof ns === "number" ? ns / passes : ns.then((total) => total / passes);
    };
    return repeated(name, call, settings);
  };
  return [contestant(SUMS_IN_C, SUMS), contestant(COPIES_IN_C, COPIES)];
}

function bestOf(figures: ReadonlyMap<string, readonly number[]>, names: readonly string[]): string {
  const least = (name: string): number => Math.min(...figures.get(name)!);
  return [...names].sort((a, b) => least(a) - least(b))[0]!;
}

function sumOfWords(bytes: Uint8Array): bigint {
  return wrapped([...new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 3)]);
}

function wrapped(values: readonly bigint[]): bigint {
  return values.reduce((sum, value) => BigInt.asUintN(64, sum + value), 0n);
}

/** How much more a worker costs where there are many. */
function reportCostPerWorker(figures: SampleFigures, results: Results): void {
  const largest = Math.max(...figures.keys());
  const perWorker = (size: number): number[] => figures.get(size)!.map((ns) => ns / size);
  for (const size of [64, 1000]) {
    const rival = { name: `a worker of ${size}`, figures: perWorker(size) };
    const target = { timesRival: 3 };
    results.add(
      makeRow(`cost per worker, ${size} to ${largest}`, "ns", perWorker(largest), {
        rival,
        ...(size === 64 && { target }),
      }),
    );
  }
}

/** Whether the last registrations cost more than earlier ones. */
function reportRegistrations({ registrationTimes, size }: Fleet, results: Results): void {
  const tenth = registrationTimes.length / 10;
  const perWorker = (from: number, to: number): number[] =>
    registrationTimes.slice(from, to).map((ns) => ns / 1e6);
  // The second tenth: the code of the first one is still being compiled.
  const early = perWorker(tenth, tenth * 2);
  results.add(
    makeRow(`registration in process, last of ${size}`, "µs", perWorker(tenth * 9, tenth * 10), {
      rival: { name: "the second tenth of them", figures: early },
      target: { timesRival: 2 },
    }),
  );
}
