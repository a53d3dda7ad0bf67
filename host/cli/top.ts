import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseDuration, printable, UsageError, withOptions } from "./arguments.ts";
import { TOP_HELP } from "./help.ts";
import { print } from "./output.ts";
import { type PlaceOptions, placeToAsk } from "./place.ts";
import { paint, wantsColor } from "./screen.ts";
import { stopped, stopSignal } from "./stop.ts";
import { glyphsOf } from "./top/glyphs.ts";
import { jsonLine } from "./top/json_line.ts";
import { runLive } from "./top/live.ts";
import { Poller } from "./top/poller.ts";
import { FileSource, type Source, SourceError, SupervisorSource } from "./top/source.ts";
import { TopState } from "./top/state.ts";
import { formatValue } from "./top/units.ts";
import { renderOnce, type Scene } from "./top/view.ts";

const OPTIONS = {
  name: { type: "string" },
  dir: { type: "string" },
  socket: { type: "string" },
  file: { type: "string" },
  interval: { type: "string" },
  once: { type: "boolean" },
  json: { type: "boolean" },
} as const;

/** Rates over less time say little. */
const SHORTEST_INTERVAL_MS = 200;

/** Shows how busy everybody is: live, once, or as lines of JSON. */
export function top(args: readonly string[]): Promise<number> {
  return withOptions("top", args, TOP_HELP, OPTIONS, async (values) => {
    const { interval = "1s", once = false, json = false } = values;
    const intervalMs = parseDuration("interval", interval);
    if (intervalMs < SHORTEST_INTERVAL_MS) {
      throw new UsageError(
        `Cannot use --interval "${interval}": ${SHORTEST_INTERVAL_MS}ms or more is expected`,
      );
    }
    const source = sourceOf(values);
    const scene: Scene = {
      path: source.path,
      interval: formatValue(intervalMs / 1000, "seconds"),
      glyphs: glyphsOf(process.env),
    };
    try {
      if (json) await printLines(source, intervalMs, once);
      else if (once || !isTerminal()) await printOnce(source, scene, intervalMs);
      else await runLive(source, scene, intervalMs);
    } finally {
      source.close();
    }
    return 0;
  });
}

function sourceOf({ file, ...place }: PlaceOptions & { readonly file?: string }): Source {
  if (file === undefined) return new SupervisorSource(placeToAsk(place));
  for (const name of ["socket", "name", "dir"] as const) {
    if (place[name] !== undefined)
      throw new UsageError(`Cannot use --${name} together with --file`);
  }
  return new FileSource(resolve(file));
}

function isTerminal(): boolean {
  const { stdin, stdout, env } = process;
  return stdin.isTTY === true && stdout.isTTY === true && env.TERM !== "dumb";
}

/** One frame, of two polls: counters have rates then. */
async function printOnce(source: Source, scene: Scene, intervalMs: number): Promise<void> {
  const poller = new Poller(source);
  const state = new TopState({ still: true });
  await poller.read();
  await sleep(intervalMs);
  state.show(await poller.read(), new Date());
  const { stdout, env } = process;
  const columns = stdout.columns || Number(env.COLUMNS) || Number.POSITIVE_INFINITY;
  const color = stdout.isTTY && wantsColor();
  const lines = renderOnce(state, scene, columns);
  await print(lines.map((line) => `${paint(line, columns, color).trimEnd()}\n`).join(""));
}

/** A line for each poll, as long as somebody reads them; once only the second, which has rates. */
async function printLines(source: Source, intervalMs: number, once: boolean): Promise<void> {
  const stop = stopSignal();
  const poller = new Poller(source);
  let frame = await poller.read();
  let failure: string | null = null;
  if (!once) await print(`${jsonLine(frame, new Date())}\n`);
  for (;;) {
    await stopped(stop, intervalMs);
    if (stop.aborted) return;
    try {
      frame = await poller.read();
      failure = null;
    } catch (error) {
      if (once || !(error instanceof SourceError)) throw error;
      if (failure !== error.message) console.error(`utilization: ${printable(error.message)}`);
      failure = error.message;
      continue;
    }
    await print(`${jsonLine(frame, new Date())}\n`);
    if (once) return;
  }
}
