// npm run bench:memory [-- RUNS]: what supervisors and instrumentation take of memory, by the kernel's
// own account. Each process is started anew in each run, and read when it has settled.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { projectFile } from "../data.ts";
import { progress } from "./results.ts";

const SETTLING_MS = 3000;
const PATIENCE_MS = 20_000;
const MEBIBYTE = 1024 ** 2;

const runs = Number(process.argv[2] ?? 5);
const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "um-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));

const utilization = fileURLToPath(projectFile("dist/host/cli/main.js"));
const server = fileURLToPath(projectFile("examples/deploying/server.js"));
const auto = ["--import", projectFile("dist/host/auto.js").href];
const index = projectFile("dist/host/index.js").href;
const counting = `import { connect } from "${index}";
  const { requests } = connect({ name: "web", schema: { requests: "u64" } }).metrics;
  setInterval(() => requests.increment(), 100); console.log("port");`;

interface Program {
  readonly name: string;
  readonly args: readonly string[];
  /** What it writes once it is there. */
  readonly ready: RegExp;
  readonly env?: Readonly<Record<string, string>>;
  /** What it is compared with. */
  readonly rival?: string;
}

/** In bytes. */
interface Memory {
  /** Resident, shared pages included as a whole. */
  readonly rss: number;
  /** Proportional: of a page that n processes share, 1/n. */
  readonly pss: number;
  /** What is free again when it ends. */
  readonly own: number;
}

function supervise(name: string, ...options: readonly string[]): Program {
  const args = [utilization, "supervise", "--dir", join(folder, "measured"), ...options];
  return { name, args, ready: /Listening on/, rival: "node, doing nothing" };
}

function mapped(program: Program, mapping: string): Program {
  return {
    ...program,
    name: `${program.name}, ${mapping}`,
    env: { ...program.env, UTILIZATION_MAPPING: mapping },
  };
}

function run(name: string, ...options: readonly string[]): Program {
  const words = ["--workers", "2", ...options, "--dir", join(folder, "measured")];
  return {
    name,
    args: [utilization, "run", ...words, "--", process.execPath, server],
    ready: /(port \d+[\s\S]*){2}/,
    env: { PORT: "0" },
    rival: "node, doing nothing",
  };
}

const supervisor = join(folder, "shared/default.ipc");
const nothing: Program = {
  name: "node, doing nothing",
  args: ["-e", 'setInterval(() => {}, 1000); console.log("up")'],
  ready: /up/,
};
const plain: Program = { name: "server", args: [server], ready: /port/, env: { PORT: "0" } };
const instrumented: Program = {
  ...plain,
  name: "server with auto",
  args: [...auto, server],
  env: { PORT: "0", UTILIZATION_SUPERVISOR: supervisor },
  rival: "server",
};
const connected: Program = {
  name: "worker by connect()",
  args: ["--input-type=module", "-e", counting],
  ready: /port/,
  env: { UTILIZATION_SUPERVISOR: supervisor },
  rival: "node, doing nothing",
};
const programs: readonly Program[] = [
  nothing,
  ...["mmap-io", "koffi", "none"].map((mapping) => mapped(supervise("supervise"), mapping)),
  supervise("supervise --http", "--http", "127.0.0.1:0"),
  run("run, without its workers"),
  run("run --cluster, without its workers", "--cluster"),
  plain,
  ...["mmap-io", "koffi", "none"].map((mapping) => mapped(instrumented, mapping)),
  {
    ...instrumented,
    name: "server with auto, no supervisor",
    env: { PORT: "0", UTILIZATION_SUPERVISOR: join(folder, "none.ipc") },
  },
  ...["mmap-io", "koffi"].map((mapping) => mapped(connected, mapping)),
];

const found = new Map<string, Memory[]>(programs.map(({ name }) => [name, []]));
const shared = await start(supervise("shared", "--dir", join(folder, "shared")));
let fileSize = 0;
for (let round = 0; round < runs; round++) {
  for (const program of programs) {
    progress(`run ${round + 1} of ${runs}: ${program.name}`);
    const child = await start(program);
    await sleep(SETTLING_MS);
    found.get(program.name)!.push(memoryOf(child.pid!));
    fileSize = Math.max(fileSize, diskUse(join(folder, "shared")));
    child.kill();
    await once(child, "close");
  }
}
shared.kill();
report();

async function start({ name, args, ready, env }: Program): Promise<ChildProcess> {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data) => {
      output += data;
    });
  }
  const deadline = performance.now() + PATIENCE_MS;
  while (!ready.test(output)) {
    if (performance.now() > deadline) throw new Error(`"${name}" does not start: ${output}`);
    await sleep(20);
  }
  return child;
}

function memoryOf(processId: number): Memory {
  const text = readFileSync(`/proc/${processId}/smaps_rollup`, "utf8");
  const bytes = (name: string): number =>
    1024 * Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1]);
  return {
    rss: bytes("Rss"),
    pss: bytes("Pss"),
    own: bytes("Private_Clean") + bytes("Private_Dirty"),
  };
}

/** What file and journal take of their file system. */
function diskUse(path: string): number {
  const names = ["default.shm", "default.shm.journal"];
  return names.reduce((sum, name) => sum + 512 * statSync(join(path, name)).blocks, 0);
}

function report(): void {
  const rows = programs.map(({ name, rival }) => {
    const own = medians(name);
    const more = rival === undefined ? null : own.own - medians(rival).own;
    const cells = [own.rss, own.pss, own.own, more].map((bytes) =>
      bytes === null ? "" : (bytes / MEBIBYTE).toFixed(1),
    );
    return `| ${name} | ${cells.join(" | ")} |`;
  });
  console.log(
    `Node ${process.versions.node}, ${process.platform} ${process.arch}, MiB, median of ${runs} runs; file and journal: ${fileSize / 1024} KiB\n`,
  );
  console.log("| | resident | proportional | its own | its own, more than without |");
  console.log("|---|---:|---:|---:|---:|");
  console.log(rows.join("\n"));
}

function medians(name: string): Memory {
  const figures = found.get(name)!;
  const of = (key: keyof Memory): number =>
    figures.map((memory) => memory[key]).sort((a, b) => a - b)[figures.length >> 1]!;
  return { rss: of("rss"), pss: of("pss"), own: of("own") };
}
