// One of four workers computes for seconds: what the others' readers get, and when. prom-client
// waits for every worker, for at most five seconds; a sample waits for none.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { loadPromClient, type PromClientName, TITLES } from "./libraries.ts";
import { progress, type Results } from "./results.ts";
import { makeRow } from "./row.ts";
import type { Settings } from "./settings.ts";

export const WORKERS = 4;

/** What blocked_process.ts is told. */
export interface BlockedTask {
  readonly library: PromClientName;
  readonly folder: string;
  readonly blockMs: number;
  /** Between two scrapes. */
  readonly everyMs: number;
}

/** What came of one reading. */
export interface Reading {
  readonly tookMs: number;
  /** How many workers' values are in it; null where it failed. */
  readonly workers: number | null;
  readonly error: string | null;
}

/** Both readings that were begun at the same time, and what `blocked_process.ts` prints of each. */
export interface Scrape {
  /** Since the worker began to block. */
  readonly atMs: number;
  readonly ours: Reading;
  readonly theirs: Reading;
  /** What the blocked worker had counted, as we read it. */
  readonly counted: number;
}

export async function measureBlockedWorker(
  folder: string,
  settings: Settings,
  results: Results,
): Promise<void> {
  const name = `one of ${WORKERS} workers blocked`;
  const libraries = (["prom-client", "@prometheus-io/client"] as const).filter((library) => {
    try {
      loadPromClient(library);
      return true;
    } catch (error) {
      results.skip(`${name}, against ${library}`, (error as Error).message);
      return false;
    }
  });
  progress(`${name} for ${settings.blockMs / 1000} s`);
  // At the same time: what is measured are seconds.
  const runs = libraries.map(async (library) => {
    const { blockMs, blockedEveryMs: everyMs } = settings;
    return await run({ library, folder, blockMs, everyMs });
  });
  for (const [i, scrapes] of (await Promise.all(runs)).entries()) {
    report(name, libraries[i]!, scrapes, results);
    results.blocked.push({ rival: TITLES[libraries[i]!], blockMs: settings.blockMs, scrapes });
  }
}

async function run(task: BlockedTask): Promise<Scrape[]> {
  const program = fileURLToPath(new URL("./blocked_process.js", import.meta.url));
  const child = spawn(process.execPath, [program, JSON.stringify(task)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  if (code !== 0) throw new Error(`A process of the benchmark ended with ${code}`);
  return JSON.parse(output) as Scrape[];
}

function report(
  name: string,
  library: PromClientName,
  scrapes: readonly Scrape[],
  results: Results,
): void {
  const complete = (of: "ours" | "theirs"): number =>
    scrapes.filter((scrape) => scrape[of].workers === WORKERS).length;
  const longest = (of: "ours" | "theirs"): number =>
    Math.max(...scrapes.map((scrape) => scrape[of].tookMs));
  const rises = scrapes.every(({ counted }, i) => i === 0 || counted > scrapes[i - 1]!.counted);
  results.check(`${name}: its counter is seen to rise`, rises, true);
  results.check(`${name}: samples with all workers`, complete("ours"), scrapes.length);
  const rival = `${TITLES[library]} over IPC`;
  const unit = `of ${scrapes.length}`;
  results.add(
    makeRow(`${name}, readings with all workers, against ${library}`, unit, [complete("ours")], {
      rival: { name: rival, figures: [complete("theirs")] },
    }),
    makeRow(`${name}, longest wait for a reading, against ${library}`, "ms", [longest("ours")], {
      rival: { name: rival, figures: [longest("theirs")] },
      faster: true,
    }),
  );
}
