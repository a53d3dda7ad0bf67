// How much longer than an empty program `utilization supervise` takes until workers can come.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { progress, type Results } from "./results.ts";
import { interleave } from "./rounds.ts";
import { makeRow } from "./row.ts";
import type { Settings } from "./settings.ts";

const program = fileURLToPath(new URL("../../host/cli/main.js", import.meta.url));

export async function measureSuperviseStart(
  folder: string,
  settings: Settings,
  results: Results,
): Promise<void> {
  progress(`start of supervise: ${settings.processes} processes`);
  const figures = await interleave(
    [
      { name: "supervise", run: () => startSupervisor(folder) },
      { name: "nothing", run: runNothing },
    ],
    { ...settings, rounds: settings.processes, warmUpRounds: 1 },
  );
  const started = figures.get("supervise")!;
  const nothing = figures.get("nothing")!;
  const more = started.map((milliseconds, round) => milliseconds - nothing[round]!);
  results.add(
    makeRow("start of supervise to listening", "ms", started, {
      rival: { name: "node -e 0", figures: nothing },
    }),
    makeRow("start of supervise to listening, more than node -e 0", "ms", more, {
      target: { atMost: 150 },
    }),
  );
}

async function startSupervisor(folder: string): Promise<number> {
  const place = ["--socket", join(folder, "start.ipc"), "--path", join(folder, "start.shm")];
  const start = performance.now();
  const child = spawn(process.execPath, [program, "supervise", ...place], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(child, "exit");
  try {
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      if (line.includes("Listening on")) return performance.now() - start;
      lines.push(line);
    }
    throw new Error(`utilization supervise does not listen: ${lines.join("; ")}`);
  } finally {
    child.kill();
    await ended;
  }
}

async function runNothing(): Promise<number> {
  const start = performance.now();
  await once(spawn(process.execPath, ["-e", "0"], { stdio: "ignore" }), "exit");
  return performance.now() - start;
}
