// What a person sees of `top`: a real supervisor, real workers, and a real terminal.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { cliCommand, fixture, Process, startCli, until } from "./fixtures/cli_process.ts";
import type { TopValues } from "./fixtures/top_worker.ts";
import type { Test } from "./support/after_test.ts";
import { temporaryFolder } from "./support/folder.ts";
import { unmapped } from "./support/mapping.ts";
import { noTerminal, Terminal } from "./support/terminal.ts";

const LIMIT = { timeout: 120_000, skip: noTerminal || unmapped };
const SMALL = { columns: 80, rows: 24 };
const LARGE = { columns: 120, rows: 40 };

class Worker {
  readonly process: Process;
  #sets = 0;

  constructor(test: Test, socket: string, service: string) {
    this.process = new Process(test, fixture("top_worker"), [service], {
      UTILIZATION_SUPERVISOR: socket,
    });
  }

  get pid(): number {
    return this.process.child.pid!;
  }

  async set(values: TopValues): Promise<void> {
    this.process.child.stdin?.write(`${JSON.stringify(values)}\n`);
    this.#sets++;
    await this.process.until("values", () => this.process.lines.length === this.#sets);
  }
}

interface Stage {
  readonly dir: string;
  readonly supervisor: Process;
  /** Two of web, one of api. */
  readonly workers: readonly [Worker, Worker, Worker];
}

async function supervise(test: Test, dir: string): Promise<Process> {
  const supervisor = startCli(test, ["supervise", "--dir", dir, "--interval", "1h"]);
  await supervisor.until("it to listen", () => supervisor.stderr.includes("Listening"));
  return supervisor;
}

async function stage(test: Test): Promise<Stage> {
  const dir = temporaryFolder(test);
  const socket = join(dir, "default.ipc");
  const supervisor = await supervise(test, dir);
  const [MiB, GiB] = [2 ** 20, 2 ** 30];
  const base = { requests_active: 3, event_loop_utilization: 0.25, heap_used_bytes: 5 * MiB };
  // One after the other: that is their order on the screen.
  const start = async (name: string, values: TopValues): Promise<Worker> => {
    const worker = new Worker(test, socket, name);
    await worker.set(values);
    return worker;
  };
  const workers = [
    await start("web", { ...base, requests_total: 1234 }),
    await start("web", { ...base, requests_total: 10_000, event_loop_utilization: 0.5 }),
    await start("api", { requests_total: 7, requests_active: 40, heap_used_bytes: 2 * GiB }),
  ] as const;
  return { dir, supervisor, workers };
}

/** The words of the row that has this text. */
function rowOf(screen: string, text: string | RegExp): string[] {
  const isRow = typeof text === "string" ? (line: string) => line.includes(text) : null;
  const lines = screen.split("\n").slice(3);
  const row = lines.find((line) => (isRow ? isRow(line) : (text as RegExp).test(line)));
  return row?.split(/\s+/).filter((word) => !/^[›▾▸▁-█]*$/.test(word)) ?? [];
}

function top(dir: string, ...args: readonly string[]): string[] {
  return cliCommand(["top", "--dir", dir, ...args]);
}

const WEB = /[▾▸] web/;
const API = /[▾▸] api/;

describe("utilization top, in a terminal", () => {
  it(
    "shows what the workers wrote, wider where there is room, and ends with q",
    LIMIT,
    async (t) => {
      const { dir, workers } = await stage(t);
      const [first, second, third] = workers;
      const terminal = await Terminal.open(t, SMALL);
      terminal.run(top(dir, "--interval", "200ms"));
      const all = await terminal.until("all workers", (screen) =>
        workers.every(({ pid }) => screen.includes(`pid ${pid}`)),
      );
      assert.ok(terminal.isTaken);
      for (const line of all.split("\n")) assert.ok([...line].length <= 80, line);
      assert.match(all, /^utilization top {2}\S+ +every 200ms {2}\d\d:\d\d:\d\d\n/);
      assert.match(all, /^2 services, 3 workers +\d more columns? ←→$/m);
      assert.match(all, /^q quit {2}\? help/m);
      // The mean of the shares, and sums: 0 of a counter that stands still.
      const still = await terminal.until("rates", (screen) => rowOf(screen, WEB)[3] === "0");
      assert.deepEqual(rowOf(still, WEB).slice(0, 5), ["web", "2", "37.5%", "0", "6"]);
      assert.deepEqual(rowOf(still, API).slice(0, 5), ["api", "1", "0%", "0", "40"]);
      assert.deepEqual(rowOf(still, `pid ${second.pid}`).slice(1, 5), [
        `${second.pid}`,
        "50%",
        "0",
        "3",
      ]);

      terminal.resize(LARGE);
      const wide = await terminal.until("all columns", (screen) => !screen.includes("more column"));
      const heading = "service, worker workers stalled util /s active used total";
      assert.ok(wide.split("\n")[4]?.trim().replace(/\s+/g, " ").startsWith(heading), wide);
      assert.deepEqual(rowOf(wide, WEB), ["web", "2", "37.5%", "0", "6", "10MiB", "11,234"]);
      assert.deepEqual(rowOf(wide, API), ["api", "1", "0%", "0", "40", "2GiB", "7"]);
      assert.equal(rowOf(wide, `pid ${first.pid}`).at(-1), "1,234");
      assert.equal(wide.split("\n").length, LARGE.rows + 1);

      await third.set({ requests_total: 1_000_000, event_loop_utilization: 0.95 });
      const busy = await terminal.until("the total", (screen) => rowOf(screen, API)[6] === "1M");
      assert.equal(rowOf(busy, API)[2], "95%");
      await terminal.until("the end of the rise", (screen) => rowOf(screen, API)[3] === "0");

      terminal.keys("q");
      await until("the shell", () => terminal.isFree);
      assert.doesNotMatch(terminal.screen, /web|pid/);
    },
  );

  it("obeys its keys", LIMIT, async (t) => {
    const { dir, workers } = await stage(t);
    const [first, second, third] = workers;
    const terminal = await Terminal.open(t, LARGE);
    // Nothing but keys changes the screen.
    terminal.run(top(dir, "--interval", "1h"));
    const pids = (screen: string): number[] =>
      [...screen.matchAll(/^›? +pid (\d+)/gm)].map(([, pid]) => Number(pid));
    const services = (screen: string): string[] =>
      [...screen.matchAll(/[▾▸] (\w+)/g)].map(([, name]) => name!);
    const shown = await terminal.until("three workers", (screen) => pids(screen).length === 3);
    assert.deepEqual(services(shown), ["web", "api"]);
    // The first frame has no rates.
    assert.equal(rowOf(shown, WEB)[3], "-");
    assert.equal(rowOf(shown, `pid ${first.pid}`)[3], "-");

    const until = (what: string, condition: (screen: string) => boolean): Promise<string> =>
      terminal.until(what, condition);
    terminal.keys("Right", "Right", "s");
    const most = await until("an order", (screen) => screen.includes("by requests_active ↓"));
    assert.match(most, /↓active/);
    assert.deepEqual(services(most), ["api", "web"]);
    terminal.keys("Right", "Right", "s", "s");
    const least = await until("another", (screen) => screen.includes("by requests_total ↑"));
    assert.deepEqual(pids(least), [third.pid, first.pid, second.pid]);
    assert.match(least, /^web +requests_total|^api +requests_total/m);
    terminal.keys("s");
    await until("no order", (screen) => !screen.includes(", by "));

    terminal.keys("/", "A", "P", "i");
    await until("a filter", (screen) => pids(screen).length === 1 && screen.includes("/APi"));
    terminal.keys("Enter");
    const filtered = await until("the filter", (screen) => screen.includes('with "APi"'));
    assert.deepEqual(services(filtered), ["api"]);
    terminal.keys("Escape");
    await until("everybody", (screen) => pids(screen).length === 3);

    terminal.keys("Enter");
    const folded = await until("fewer", (screen) => pids(screen).length === 1);
    assert.match(folded, /▸ web/);
    terminal.keys("e");
    await until("services alone", (screen) => pids(screen).length === 0);
    terminal.keys("e");
    await until("everybody again", (screen) => pids(screen).length === 3);
    terminal.keys("Down", "Down");
    await until("the cursor", (screen) => screen.includes(`›     pid ${second.pid}`));

    terminal.keys("p");
    await until("a pause", (screen) => /^utilization top.* PAUSED /.test(screen));
    terminal.keys("p");
    await until("no pause", (screen) => !screen.includes("PAUSED"));
    terminal.keys("?");
    await until("help", (screen) => screen.includes("move between rows"));
    terminal.keys("x");
    await until("the table", (screen) => pids(screen).length === 3);
  });

  it("calls a stopped worker stalled, and the others not", LIMIT, async (t) => {
    const { dir, workers } = await stage(t);
    const [first, second] = workers;
    const terminal = await Terminal.open(t, SMALL);
    terminal.run(top(dir, "--interval", "200ms"));
    await terminal.until("workers", (screen) => screen.includes(`pid ${first.pid}`));
    second.process.signal("SIGSTOP");
    const screen = await terminal.until("it is stalled", (screen) => /^1 stalled/m.test(screen));
    assert.match(screen, new RegExp(`^1 stalled: web pid ${second.pid} for \\d+[sm]$`, "m"));
    assert.match(rowOf(screen, `  pid ${second.pid}`)[2]!, /^\d+[sm]$/);
    assert.deepEqual(rowOf(screen, WEB).slice(0, 3), ["web", "2", "1"]);
    // In red, and nobody else.
    assert.ok(terminal.styleOf(`  pid ${second.pid}`).includes(31));
    assert.deepEqual(terminal.styleOf(`  pid ${first.pid}`), []);
    second.process.signal("SIGCONT");
    await terminal.until("it runs", (screen) => !screen.includes("stalled:"));
  });

  it("keeps the last values while the supervisor is gone, and finds the next", LIMIT, async (t) => {
    const { dir, supervisor, workers } = await stage(t);
    const terminal = await Terminal.open(t, LARGE);
    terminal.run(top(dir, "--interval", "200ms"));
    await terminal.until("values", (screen) => rowOf(screen, WEB).includes("11,234"));
    supervisor.signal("SIGTERM");
    await supervisor.exit;
    const gone = await terminal.until("a word", (screen) => screen.includes("No supervisor"));
    assert.match(gone, /^No supervisor listens\. Last values of \d\d:\d\d:\d\d, trying again\.$/m);
    assert.ok(rowOf(gone, WEB).includes("11,234"));
    assert.deepEqual(terminal.styleOf(`pid ${workers[2].pid}`), [2]);
    await supervise(t, dir);
    await workers[0].set({ requests_total: 1300 });
    await terminal.until("new values", (screen) => rowOf(screen, WEB).includes("11,300"));
    await terminal.until("everybody", (screen) => screen.includes("2 services, 3 workers"));
    assert.deepEqual(terminal.styleOf(`pid ${workers[2].pid}`), []);
  });

  it(
    "gives the terminal back when it is suspended, and when a signal ends it",
    LIMIT,
    async (t) => {
      const { dir } = await stage(t);
      const terminal = await Terminal.open(t, SMALL);
      const running = async (): Promise<void> => {
        await terminal.until("the table", (screen) => WEB.test(screen));
        assert.ok(terminal.isTaken);
      };
      terminal.run(top(dir));
      await running();
      terminal.keys("C-z");
      await until("the shell", () => terminal.isFree);
      terminal.keys("e", "c", "h", "o", "Space", "h", "i", "Enter");
      await terminal.until("an echo", (screen) => /^hi$/m.test(screen));
      terminal.keys("f", "g", "Enter");
      await running();
      terminal.keys("C-c");
      await until("the shell", () => terminal.isFree);
      for (const signal of ["TERM", "INT", "HUP"]) {
        const command = cliCommand(["top", "--dir", dir]).join(" ");
        terminal.run(["sh", "-c", `echo $$ > ${dir}/pid; exec ${command}`]);
        await running();
        terminal.resize({ columns: 70, rows: 20 });
        await terminal.until("a narrow table", (screen) => WEB.test(screen));
        process.kill(Number(readFileSync(join(dir, "pid"), "utf8")), `SIG${signal}`);
        await until(`the shell after SIG${signal}`, () => terminal.isFree);
      }
    },
  );

  it("takes a terminal without a size for a usual one", LIMIT, async (t) => {
    const { dir } = await stage(t);
    const terminal = await Terminal.open(t, LARGE);
    const unsized = (...args: string[]): string[] => {
      const command = cliCommand(["top", "--dir", dir, "--interval", "200ms", ...args]).join(" ");
      return ["sh", "-c", `stty cols 0 rows 0; COLUMNS=100 exec ${command}`];
    };
    terminal.run(unsized());
    await terminal.until("the table", (screen) => screen.includes("2 services, 3 workers"));
    terminal.keys("q");
    await until("the shell", () => terminal.isFree);
    terminal.run(unsized("--once"));
    await terminal.until("the table", (screen) => screen.includes("2 services, 3 workers"));
    await until("the shell", () => terminal.isFree);
  });

  it(
    "draws in ASCII where the locale has nothing else, and without color if told so",
    LIMIT,
    async (t) => {
      const { dir } = await stage(t);
      const terminal = await Terminal.open(t, LARGE, { LC_ALL: "C", NO_COLOR: "1" });
      terminal.run(top(dir, "--interval", "200ms"));
      await terminal.until("values", (screen) => screen.includes("11,234"));
      const { styled } = terminal;
      assert.doesNotMatch(styled, /[^\x20-\x7e\n]/);
      assert.match(styled, /^> - web/m);
    },
  );
});
