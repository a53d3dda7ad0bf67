import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { describe, it } from "node:test";
import { isRunning, runCli } from "./fixtures/cli_process.ts";
import { afterTest, type Test } from "./support/after_test.ts";
import { fixturePath } from "./support/child.ts";
import { temporaryFolder } from "./support/folder.ts";
import { Run } from "./support/run.ts";
import { isDeno } from "./support/runtime.ts";
import { until } from "./support/until.ts";

const SERVER = [process.execPath, fixturePath("run_server")] as const;

/** Clients that ask again and again, each on a connection that it keeps. */
class Load {
  /** Who has answered, and how often. */
  readonly answers: Map<number, number> = new Map();
  readonly failures: Error[] = [];
  readonly #agent: Agent = new Agent({ keepAlive: true });
  readonly #clients: Promise<void>[];
  readonly #port: number;
  #isRunning = true;

  constructor(test: Test, port: number, clients: number) {
    this.#port = port;
    this.#clients = Array.from({ length: clients }, () => this.#run());
    afterTest(test, () => this.end());
  }

  async #run(): Promise<void> {
    while (this.#isRunning) {
      try {
        const pid = await this.#ask();
        this.answers.set(pid, (this.answers.get(pid) ?? 0) + 1);
      } catch (error) {
        this.failures.push(error as Error);
      }
    }
  }

  #ask(): Promise<number> {
    return new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port: this.#port, agent: this.#agent };
      const request = get(options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => {
          text += piece;
        });
        response.on("error", reject).on("end", () => resolve(Number(text)));
      });
      request.on("error", reject);
    });
  }

  get total(): number {
    return [...this.answers.values()].reduce((sum, count) => sum + count, 0);
  }

  async end(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.#clients);
    this.#agent.destroy();
  }
}

describe("utilization run --cluster", { skip: isDeno && "Deno's workers share no port" }, () => {
  it("has the workers share a port, and replaces them without a failed request", async (t) => {
    const run = new Run(t, ["--cluster", "--workers", "3", "--", ...SERVER]);
    await run.until("three servers", () => run.numbers("pid").length === 3);
    const before = run.numbers("pid");
    assert.equal(new Set(run.numbers("port")).size, 1);
    const load = new Load(t, run.numbers("port")[0]!, 8);
    await until(() => before.every((pid) => load.answers.has(pid)), "answers of all");
    run.process.signal("SIGHUP");
    await run.until("three others", () => /Replaced 3 of 3 workers/.test(run.log));
    const others = run.numbers("pid").slice(3);
    assert.equal(others.length, 3);
    assert.equal(new Set(run.numbers("port")).size, 1);
    await until(() => others.every((pid) => load.answers.has(pid)), "answers of the others");
    await load.end();
    assert.deepEqual(load.failures, []);
    assert.deepEqual(before.filter(isRunning), []);
    const { stdout } = await runCli(t, ["status", "--totals", "--socket", run.socket]);
    const { utilization_monitor: _, ...service } = JSON.parse(stdout)[0].totals;
    const [totals] = Object.values(service) as { requests_total: number }[];
    assert.equal(totals?.requests_total, load.total, "each answer is counted once");
    run.process.signal("SIGTERM");
    assert.equal((await run.exit).code, 0);
    assert.deepEqual(run.numbers("pid").filter(isRunning), []);
  });

  it("keeps the old workers when the new script does not listen", async (t) => {
    const text = `
      const { existsSync } = require("node:fs");
      if (existsSync(process.argv[2])) setInterval(() => {}, 1000);
      else require("node:http").createServer().listen(0, () => console.log("pid", process.pid));`;
    const folder = temporaryFolder(t);
    const file = join(folder, "server.cjs");
    const flag = join(folder, "broken");
    writeFileSync(file, text);
    const run = new Run(t, ["--cluster", "--workers", "2", "--", process.execPath, file, flag]);
    await run.until("two servers", () => run.numbers("pid").length === 2);
    writeFileSync(flag, "");
    run.process.signal("SIGHUP");
    await run.until("a replacement", () => /Replacing the workers/.test(run.log));
    // It lives, and has registered; the old one listened.
    const { pid } = run.process.child;
    const replacement = await until(() => {
      return childrenOf(pid!).find((id) => !run.numbers("pid").includes(id));
    }, "a third worker");
    process.kill(replacement, "SIGKILL");
    await run.until("an end of it", () => /replacing no more, the others stay/.test(run.log));
    assert.deepEqual(run.numbers("pid").filter(isRunning), run.numbers("pid"));
    run.process.signal("SIGTERM");
    assert.equal((await run.exit).code, 0);
  });

  it("keeps what it tells a worker from the application's handlers of messages", async (t) => {
    const text = `
      const { worker } = require("node:cluster");
      const commands = {};
      process.on("message", ({ command }) => commands[command]());
      process.on("other", (value) => console.log("other", value));
      worker.on("message", (message) => console.log("told", message));
      const server = require("node:http").createServer();
      server.listen(0, () => process.emit("other", 1) && console.log("pid", process.pid));
      setInterval(() => {}, 1000);
      process.once("SIGTERM", () => { console.log("ends"); process.exit(); });`;
    const file = join(temporaryFolder(t), "server.cjs");
    writeFileSync(file, text);
    const run = new Run(t, ["--cluster", "--workers", "2", "--", process.execPath, file]);
    await run.until("two servers", () => run.numbers("pid").length === 2);
    run.process.signal("SIGHUP");
    await run.until("two others", () => /Replaced 2 of 2 workers/.test(run.log));
    run.process.signal("SIGTERM");
    const { code, stdout, stderr } = await run.exit;
    assert.equal(code, 0);
    assert.doesNotMatch(stdout + stderr, /told|TypeError/);
    assert.equal(stdout.split("| ends\n").length, 5);
    assert.deepEqual(run.numbers("other"), [1, 1, 1, 1]);
  });

  it("has what a worker counts at its end written, without a mapping too", async (t) => {
    const command = ["--", process.execPath, fixturePath("run_last_words")];
    const env = { UTILIZATION_MAPPING: "none" };
    const run = new Run(t, ["--cluster", "--workers", "2", ...command], { env });
    await run.until("two workers", () => run.numbers("pid").length === 2);
    run.process.signal("SIGHUP");
    await run.until("two others", () => /Replaced 2 of 2 workers/.test(run.log));
    const { stdout } = await runCli(t, ["status", "--totals", "--socket", run.socket]);
    assert.equal(JSON.parse(stdout)[0].totals.words.words_total, 6);
    run.process.signal("SIGTERM");
    assert.equal((await run.exit).code, 0);
  });

  it("lets an application end by its own SIGTERM handler", async (t) => {
    const text = `
      const server = require("node:http").createServer((_, response) => response.end("x"));
      server.listen(0, () => console.log("port", server.address().port, "pid", process.pid));
      setInterval(() => {}, 1000);
      process.once("SIGTERM", () => server.close(() => { console.log("closed"); process.exit(); }));`;
    const file = join(temporaryFolder(t), "server.cjs");
    writeFileSync(file, text);
    const run = new Run(t, ["--cluster", "--workers", "2", "--", process.execPath, file]);
    await run.until("two servers", () => run.numbers("pid").length === 2);
    await (await fetch(`http://127.0.0.1:${run.numbers("port")[0]}`)).text();
    run.process.signal("SIGTERM");
    const { code, stdout } = await run.exit;
    assert.equal(code, 0);
    assert.equal(stdout.split("| closed\n").length, 3);
  });

  it("ends workers that are blocked, and those of a process that is killed", async (t) => {
    const file = join(temporaryFolder(t), "block.cjs");
    writeFileSync(file, 'console.log("pid", process.pid); setTimeout(() => { for (;;); }, 50)');
    const words = ["--cluster", "--workers", "2", "--grace", "400ms", "--", process.execPath, file];
    const stopped = new Run(t, words);
    await stopped.until("two workers", () => stopped.numbers("pid").length === 2);
    stopped.process.signal("SIGTERM");
    // In an endless loop, SIGTERM still has its usual effect.
    assert.equal((await stopped.exit).code, 0);
    assert.deepEqual(stopped.numbers("pid").filter(isRunning), []);
    const killed = new Run(t, words);
    await killed.until("two workers", () => killed.numbers("pid").length === 2);
    killed.process.signal("SIGKILL");
    await until(() => !killed.numbers("pid").some(isRunning), "the end of all");
  });

  it("passes options on to Node.js, and arguments to the script", async (t) => {
    const file = join(temporaryFolder(t), "a.cjs");
    writeFileSync(file, "console.log(process.title, ...process.argv.slice(2)); process.exit()");
    const node = [
      process.execPath,
      "--title",
      "some title",
      "--no-deprecation",
      file,
      "--x",
      "y z",
    ];
    const { code, stdout, stderr } = await new Run(t, [
      "--cluster",
      "--workers",
      "1",
      "--",
      ...node,
    ]).exit;
    assert.equal(code, 0, stderr);
    assert.match(stdout, / \| some title --x y z$/m);
  });
});

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  const names = (id: string) => readFileSync(`/proc/${id}/cmdline`, "utf8");
  return text
    .trim()
    .split(" ")
    .filter((id) => names(id).includes("server.cjs"))
    .map(Number);
}
