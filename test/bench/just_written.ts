// The real case: the lines that a sample reads have just been written by other processes, on other
// cores. One process stands for them, pinned to another core than this one. Where two cores share
// their caches the lines do not travel, and there it says nothing: so the same is measured with
// lines that the writer has had written back to memory, which cost about as much to fetch as lines
// of another core's cache.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openFile } from "../../host/mapping/index.ts";
import { type CRival, SUMS } from "./c_rival.ts";
import { compile } from "./compiler.ts";
import { type Fleet, ROWS, SEGMENT_SIZE } from "./fleet.ts";
import { progress, type Results } from "./results.ts";
import { interleave, median, repeated } from "./rounds.ts";
import { makeRow } from "./row.ts";
import type { Settings } from "./settings.ts";

/** Words of the control file: what is asked for, what is done, and what to write. */
export const ASKED = 0;
export const DONE = 1;
export const SEGMENTS = 2;
export const SIZE = 3;
export const WORDS = 4;
const FLUSH = 5;
const CAN_FLUSH = 6;

/** By so much more do lines that travel cost C. */
const TRAVELLED = 1.15;

export async function measureJustWritten(
  fleet: Fleet,
  c: CRival | null,
  folder: string,
  settings: Settings,
  results: Results,
  hasTarget: boolean,
): Promise<void> {
  const name = `sample, ${fleet.size} workers, lines just written, against C`;
  const cores = allowedCores();
  if (c === null) return results.skip(name, "no C compiler");
  if (cores.length < 2) return results.skip(name, "one processor only");
  progress(`samples: ${fleet.size} workers, lines just written`);
  let writer: Writer;
  try {
    writer = await Writer.start(fleet, folder, cores[1]!);
  } catch (error) {
    return results.skip(name, (error as Error).message);
  }
  pinThisThread(String(cores[0]));
  try {
    const travels = await compare(name, fleet, c, writer, settings, results, hasTarget);
    if (travels) return;
    const flushed = `sample, ${fleet.size} workers, lines written and flushed, against C`;
    if (!writer.flush()) return results.skip(flushed, "the writer cannot flush lines here");
    await compare(flushed, fleet, c, writer, settings, results, hasTarget, true);
  } finally {
    pinThisThread(cores.join(","));
    writer.stop();
  }
}

/** Adds two rows; the first has the target if the lines travel, which is the answer. */
async function compare(
  name: string,
  fleet: Fleet,
  c: CRival,
  writer: Writer,
  settings: Settings,
  results: Results,
  hasTarget: boolean,
  flushed = false,
): Promise<boolean> {
  // A pass counts only once: after it, the lines are in our own cache.
  const afterWriting = async (pass: () => number | Promise<number>): Promise<number> => {
    const times: number[] = [];
    const end = performance.now() + settings.milliseconds * 2;
    do {
      writer.write();
      times.push(await pass());
    } while (performance.now() < end || times.length < 5);
    return median(times);
  };
  const sample = (): number => {
    const start = performance.now();
    fleet.monitor.sample();
    return (performance.now() - start) * 1e6;
  };
  const figures = await interleave(
    [
      { name: "core", run: () => afterWriting(sample) },
      { name: "C", run: () => afterWriting(() => c.run(SUMS, 1)) },
      repeated("C, hot", () => c.run(SUMS, 1), settings),
    ],
    settings,
  );
  results.check(name, c.sums(), fleet.sums(fleet.services[0]!));
  const microseconds = (of: string): number[] => figures.get(of)!.map((ns) => ns / 1000);
  const ofC = makeRow(
    `C alone, ${fleet.size} workers, lines ${flushed ? "flushed" : "just written"} against hot`,
    "µs",
    microseconds("C"),
    { rival: { name: "the same in C, hot", figures: microseconds("C, hot") } },
  );
  const travels = flushed || ofC.ratio! >= TRAVELLED;
  results.add(
    makeRow(name, "µs", microseconds("core"), {
      rival: { name: `the same generic plan in C; ${writer.kind}`, figures: microseconds("C") },
      ...(hasTarget && travels && { target: { timesRival: 1.25 } }),
    }),
    ofC,
  );
  return travels;
}

class Writer {
  readonly kind: string;
  readonly #control: Int32Array;
  #asked = 0;

  private constructor(kind: string, control: Int32Array) {
    this.kind = kind;
    this.#control = control;
  }

  static async start(fleet: Fleet, folder: string, core: number): Promise<Writer> {
    const controlPath = join(folder, "control");
    writeFileSync(controlPath, new Uint8Array(4096));
    const file = openFile(controlPath, { write: true });
    const bytes = file.map(0, 4096);
    file.close();
    if (bytes === null) throw new Error(`no mapping: ${file.mappingReason}`);
    const control = new Int32Array(bytes.buffer, bytes.byteOffset, 1024);
    control[SEGMENTS] = fleet.size;
    control[SIZE] = SEGMENT_SIZE;
    control[WORDS] = ROWS.length;

    const paths = [fleet.monitor.path, controlPath];
    let kind = "writer in C";
    let command: string[];
    try {
      command = [compile("writer.c", folder), ...paths];
    } catch {
      kind = "writer in Node";
      const program = fileURLToPath(new URL("./writer_process.js", import.meta.url));
      command = [process.execPath, program, ...paths];
    }
    const child = spawn("taskset", ["-c", String(core), ...command], { stdio: "inherit" });
    await once(child, "spawn");
    child.unref();
    const writer = new Writer(kind, control);
    writer.write();
    return writer;
  }

  /** Returns when all lines have been written. */
  write(): void {
    const asked = ++this.#asked;
    const deadline = performance.now() + 10_000;
    Atomics.store(this.#control, ASKED, asked);
    // The next sample starts at once, without a turn of the event loop in between.
    while (Atomics.load(this.#control, DONE) !== asked) {
      if (performance.now() > deadline) throw new Error("the writer does not answer");
    }
  }

  /** Has lines written back to memory from now on; false where that cannot be done. */
  flush(): boolean {
    this.#control[FLUSH] = 1;
    return this.#control[CAN_FLUSH] === 1;
  }

  stop(): void {
    Atomics.store(this.#control, ASKED, -1);
  }
}

/** The processors that this process may run on; none where that cannot be known. */
function allowedCores(): number[] {
  let list: string | undefined;
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1];
  } catch {
    return [];
  }
  return (list ?? "").split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    return Array.from({ length: last! - first! + 1 }, (_, i) => first! + i);
  });
}

function pinThisThread(cores: string): void {
  execFileSync("taskset", ["-pc", cores, String(process.pid)], { stdio: "pipe" });
}
