// What automatic instrumentation costs a server: the same server with and without it, loaded in
// turns, registered with a supervisor that samples once a second. How many requests it answers is
// also up to the client, which is no faster: the processor time of the server says the rest.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { silentLogger } from "../../host/log.ts";
import { Supervisor } from "../../host/supervisor.ts";
import { UtilizationMonitor } from "../../host/utilization_monitor.ts";
import { projectFile } from "../data.ts";
import { until } from "../support/until.ts";
import { progress, type Results } from "./results.ts";
import { interleave } from "./rounds.ts";
import { makeRow } from "./row.ts";
import type { Settings } from "./settings.ts";

const THROUGHPUT = "requests answered with automatic instrumentation";
const PROCESSOR = "processor time of a request with automatic instrumentation";
const CONNECTIONS = 32;
/** autocannon ends with its own clock, which ticks once a second. */
const SECONDS = 1;
const program = fileURLToPath(new URL("./instrumentation_process.js", import.meta.url));
const auto = new URL("../../host/auto.js", import.meta.url).href;

/** The part of autocannon that is used here. */
type Autocannon = (options: {
  readonly url: string;
  readonly connections: number;
  readonly duration: number;
}) => Promise<{
  /** Seconds. */
  readonly duration: number;
  readonly "2xx": number;
  readonly non2xx: number;
  readonly errors: number;
}>;

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
}

export async function measureInstrumentation(
  folder: string,
  settings: Settings,
  results: Results,
): Promise<void> {
  let autocannon: Autocannon;
  try {
    autocannon = createRequire(projectFile("test/tools/package.json"))("autocannon");
  } catch {
    results.skip(THROUGHPUT, "autocannon is not installed: npm run test:tools");
    return;
  }
  progress("requests: a server with and without automatic instrumentation");
  const socket = join(folder, "auto.ipc");
  const monitor = new UtilizationMonitor({ path: join(folder, "auto.shm"), log: silentLogger });
  const supervisor = await Supervisor.listen({ socket, monitors: [monitor], log: silentLogger });
  const servers = await Promise.all([
    startServer(["--import", auto], socket),
    startServer([], socket),
  ]);
  const sampling = setInterval(() => monitor.sample(), 1000);
  try {
    await until(() => monitor.sample().hello !== undefined, "the server is registered");
    const answered = new Map<Server, number>(servers.map((server) => [server, 0]));
    const processor = new Map<Server, number[]>(servers.map((server) => [server, []]));
    let runs = 0;
    const load = async (server: Server): Promise<number> => {
      const { url } = server;
      const before = await processorTime(server);
      const answer = await autocannon({ url, connections: CONNECTIONS, duration: SECONDS });
      const { duration, "2xx": count, non2xx, errors } = answer;
      results.check(`${THROUGHPUT}, errors`, [non2xx, errors], [0, 0]);
      processor.get(server)!.push(((await processorTime(server)) - before) / count);
      answered.set(server, answered.get(server)! + count);
      runs++;
      return count / duration;
    };
    const figures = await interleave(
      [
        { name: "with", run: () => load(servers[0]) },
        { name: "without", run: () => load(servers[1]) },
      ],
      settings,
    );
    // The last request of each connection is cut off, or was never sent.
    const counted = Number(monitor.sample().hello?.requests_total);
    const more = counted - answered.get(servers[0])!;
    results.check(`${THROUGHPUT}, counted`, more >= 0 && more <= (runs / 2) * CONNECTIONS, true);
    const microseconds = servers.map((server) => processor.get(server)!.slice(-settings.rounds));
    results.add(
      makeRow(THROUGHPUT, "per s", figures.get("with")!, {
        rival: { name: "without", figures: figures.get("without")! },
      }),
      makeRow(PROCESSOR, "µs", microseconds[0]!, {
        rival: { name: "without", figures: microseconds[1]! },
        target: { timesRival: 1.05 },
      }),
    );
  } finally {
    clearInterval(sampling);
    await Promise.all(servers.map(stop));
    await supervisor.close();
  }
}

async function startServer(args: readonly string[], socket: string): Promise<Server> {
  const child = spawn(process.execPath, [...args, program], {
    env: { ...process.env, UTILIZATION_SUPERVISOR: socket, UTILIZATION_NAME: "hello" },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const [port] = await once(child, "message");
  return { child, url: `http://127.0.0.1:${port}` };
}

/** Microseconds so far. */
async function processorTime({ child }: Server): Promise<number> {
  child.send("processor time");
  const [microseconds] = await once(child, "message");
  return microseconds as number;
}

async function stop({ child }: Server): Promise<void> {
  const ended = once(child, "exit");
  child.kill();
  await ended;
}
