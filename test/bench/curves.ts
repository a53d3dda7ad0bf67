// What a sample costs per worker, from few workers to very many, beside its rivals: the plot.

import { COPIES, type CRival, openCRival, SUMS } from "./c_rival.ts";
import { Fleet, ROWS } from "./fleet.ts";
import { sumArrayHalves, sumDataViewHalves } from "./plain_javascript.ts";
import { progress, type Results } from "./results.ts";
import { type Contestant, interleave, median, repeated, timed, warmUp } from "./rounds.ts";
import type { Settings } from "./settings.ts";

const SIZES = [64, 256, 1000, 4000, 10_000, 40_000, 100_000];

/** A point of a curve: the median over the rounds. */
export interface Point {
  readonly curve: Curve;
  readonly workers: number;
  readonly nsPerWorker: number;
}

export type Curve = "sample()" | "best plain JavaScript" | "the same plan in C" | "memcpy in C";

const VIEW = "DataView";
const ARRAY = "Uint32Array";

export async function measureCurves(
  folder: string,
  settings: Settings,
  results: Results,
): Promise<Point[]> {
  const points: Point[] = [];
  for (const workers of SIZES) {
    progress(`curves: ${workers} workers`);
    const fleet = await Fleet.create(folder, workers);
    const c = await openCRival(fleet, folder).catch((error: Error) => {
      console.error(`without C: ${error.message}`);
      return null;
    });
    warmUp(settings, () => fleet.monitor.sample());
    const figures = await interleave(await contestants(fleet, c, settings, results), settings);
    const add = (curve: Curve, ...names: string[]): void => {
      const found = names.flatMap((name) => figures.get(name) ?? []);
      if (found.length === 0) return;
      const best = Math.min(...names.map((name) => median(figures.get(name)!)));
      points.push({ curve, workers, nsPerWorker: best / workers });
    };
    add("sample()", "sample()");
    add("best plain JavaScript", VIEW, ARRAY);
    add("the same plan in C", "the same plan in C");
    add("memcpy in C", "memcpy in C");
    c?.close();
    await fleet.close();
  }
  return points;
}

async function contestants(
  fleet: Fleet,
  c: CRival | null,
  settings: Settings,
  results: Results,
): Promise<Contestant[]> {
  const { monitor, offsets, size } = fleet;
  const { bytes } = fleet.view();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  const fields = ROWS.map(([, , offset]) => offset);
  const byView = (): bigint[] => sumDataViewHalves(view, offsets, fields);
  const byArray = (): bigint[] => sumArrayHalves(words, offsets, fields);
  const expected = fleet.sums(fleet.services[0]!);
  for (const sum of [byView, byArray]) results.check(`${size} workers`, sum(), expected);
  const all = [
    timed("sample()", () => monitor.sample(), settings),
    timed(VIEW, byView, settings),
    timed(ARRAY, byArray, settings),
  ];
  if (c === null) return all;
  await c.run(SUMS, 1);
  results.check(`C, ${size} workers`, c.sums(), expected);
  // One call is long enough that asking for it does not count.
  const passes = Math.max(1, Math.round(20_000 / size));
  const inC = (name: Curve, kernel: typeof SUMS | typeof COPIES): Contestant =>
    repeated(name, async () => (await c.run(kernel, passes)) / passes, settings);
  return [...all, inC("the same plan in C", SUMS), inC("memcpy in C", COPIES)];
}
