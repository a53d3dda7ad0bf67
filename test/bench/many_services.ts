// Whether it costs to have many services: their segments lie in the file as their workers came, so
// the next segment of a service is never the next one in memory.

import { Fleet, ROWS } from "./fleet.ts";
import { sumBigints } from "./plain_javascript.ts";
import { progress, type Results } from "./results.ts";
import { interleave, timed } from "./rounds.ts";
import { makeRow } from "./row.ts";
import type { Settings } from "./settings.ts";

const SERVICES = 60;

export async function measureManyServices(
  folder: string,
  settings: Settings,
  results: Results,
): Promise<void> {
  for (const size of settings.manyServicesSizes) {
    progress(`samples: ${size} workers of ${SERVICES} services`);
    const one = await Fleet.create(folder, size);
    const many = await Fleet.create(folder, size, SERVICES);
    const { bytes } = many.view();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const fields = ROWS.map(([, , offset]) => offset);
    const expected = many.services.map((_, service) => {
      const own = many.offsets.filter((_, worker) => worker % SERVICES === service);
      return sumBigints(view, own, fields);
    });
    const sums = many.services.map((service) => many.sums(service));
    results.check(`${size} workers of ${SERVICES} services`, sums, expected);

    const figures = await interleave(
      [
        timed("one", () => one.monitor.sample(), settings),
        timed("many", () => many.monitor.sample(), settings),
      ],
      settings,
    );
    const microseconds = (of: string): number[] => figures.get(of)!.map((ns) => ns / 1000);
    results.add(
      makeRow(`sample, ${size} workers of ${SERVICES} services`, "µs", microseconds("many"), {
        rival: { name: "as many of one service", figures: microseconds("one") },
        target: { timesRival: 2 },
      }),
    );
    await one.close();
    await many.close();
  }
}
