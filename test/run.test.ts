import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { isRunning, runCli } from "./fixtures/cli_process.ts";
import { fixturePath } from "./support/child.ts";
import { temporaryFolder } from "./support/folder.ts";
import { Run, script } from "./support/run.ts";
import { isDeno } from "./support/runtime.ts";
import { until } from "./support/until.ts";

/** Node.js as the command: on Deno it could not run the fixtures. */
const node = { skip: isDeno && "Deno has no NODE_OPTIONS" };
const SERVER = [process.execPath, fixturePath("run_server")] as const;

interface Status {
  readonly data: Record<string, Record<string, number>>;
  readonly stalled: Record<string, number>;
  readonly totals: Record<string, Record<string, number>>;
}

describe("utilization run", () => {
  it("runs any command, with its place in the environment, and prefixes its lines", async (t) => {
    const folder = temporaryFolder(t);
    const text =
      'echo "$UTILIZATION_NAME $UTILIZATION_WORKER $PORT $1"; echo "to $0" >&2; [ -S "$UTILIZATION_SUPERVISOR" ]';
    const file = script(folder, "shop.sh", text);
    const run = new Run(t, ["--workers", "2", "--", file, "two words"], {
      folder,
      env: { PORT: "8080", NODE_OPTIONS: "" },
    });
    const { code, stdout, stderr } = await run.exit;
    assert.equal(code, 0, stderr);
    const lines = stdout.trimEnd().split("\n").sort();
    assert.deepEqual(lines, ["shop.1 | shop 1 8080 two words", "shop.2 | shop 2 8080 two words"]);
    assert.match(stderr, new RegExp(`^shop\\.1 \\| to ${file}$`, "m"));
    assert.equal(existsSync(run.supervisorFolder), false);
  });

  it("sees workers of Node.js that know nothing of it, and sees them go", node, async (t) => {
    const run = new Run(t, ["--workers", "2", "--name", "web", "--", ...SERVER]);
    const socket = join(run.supervisorFolder, "web.ipc");
    await run.until("two servers", () => run.numbers("pid").length === 2);
    for (const port of run.numbers("port")) await (await fetch(`http://127.0.0.1:${port}`)).text();
    const status = async () => {
      const { stdout } = await runCli(t, ["status", "--totals", "--socket", socket]);
      return JSON.parse(stdout)[0] as Status;
    };
    await until(async () => (await status()).data.web?.requests_total === 2, "two requests");
    const [first] = run.numbers("pid");
    process.kill(first!, "SIGKILL");
    await run.until("its end", () => /web\.[12], pid \d+, was ended by SIGKILL/.test(run.log));
    await run.until("another", () => run.numbers("pid").length === 3);
    await until(async () => {
      const { data, totals } = await status();
      return (
        data.web?.worker_count === 2 &&
        data.web.requests_total === 1 &&
        totals.web?.requests_total === 2
      );
    }, "another worker that counts, and totals of the one that was killed");
    run.process.signal("SIGTERM");
    const { code, stderr } = await run.exit;
    assert.equal(code, 0, stderr);
    assert.deepEqual(run.numbers("pid").filter(isRunning), []);
    assert.equal(existsSync(run.supervisorFolder), false);
  });

  it("runs what lives by hooks of require", node, async (t) => {
    const folder = temporaryFolder(t);
    const hook = join(folder, "hook.cjs");
    writeFileSync(hook, "require.extensions['.odd'] = require.extensions['.js'];");
    const main = join(folder, "main.odd");
    writeFileSync(main, "console.log('it runs')");
    const command = ["--restart", "never", "--", process.execPath, "-r", hook, main];
    const alone = await new Run(t, command).exit;
    assert.match(alone.stdout, /it runs/, alone.stderr);
    assert.equal(alone.code, 0);
    // A worker of a cluster lives for as long as it is connected to its primary.
    const inCluster = new Run(t, ["--cluster", "--workers", "1", ...command]);
    await inCluster.until("its words", () => /it runs/.test(inCluster.process.stdout));
    inCluster.process.signal("SIGTERM");
    assert.equal((await inCluster.exit).code, 0);
  });

  it("leaves NODE_OPTIONS alone where it is told to, and for other commands", node, async (t) => {
    const folder = temporaryFolder(t);
    const file = script(folder, "a.sh", 'echo "[$NODE_OPTIONS]"');
    const print = [process.execPath, "-p", "process.env.NODE_OPTIONS"];
    const env = { NODE_OPTIONS: "--no-deprecation" };
    const cases: [words: string[], expected: RegExp][] = [
      [["--", file], /\| \[--no-deprecation\]$/],
      [["--auto", "--", file], /\| \[--no-deprecation --require \S*\/host\/auto_preload\.c\ws\]$/],
      [["--no-auto", "--", ...print], /\| --no-deprecation$/],
      [["--", ...print], /\| --no-deprecation --require \S*\/host\/auto_preload\.c\ws$/],
    ];
    for (const [words, expected] of cases) {
      const { stdout, stderr } = await new Run(t, words, { env }).exit;
      assert.match(stdout.trimEnd(), expected, stderr);
    }
  });

  it("starts a crashing command again and again, and itself lives on", async (t) => {
    const folder = temporaryFolder(t);
    const run = new Run(t, ["--", script(folder, "bad.sh", "echo here; exit 7")]);
    await run.until("three starts", () => run.lines.length >= 3);
    assert.match(
      run.log,
      /WARN bad\.1, pid \d+, ended with code 7 after 0\.\d s: starting again in 0\.\d s/,
    );
    run.process.signal("SIGINT");
    assert.equal((await run.exit).code, 0);
  });

  it("ends with the code of the workers where none is started again", async (t) => {
    const folder = temporaryFolder(t);
    const file = script(folder, "job.sh", '[ -n "$1" ] && exit $1; exit $UTILIZATION_WORKER');
    const codeOf = async (...words: string[]) => (await new Run(t, words).exit).code;
    assert.equal(await codeOf("--workers", "3", "--restart", "never", "--", file, "9"), 9);
    assert.equal(await codeOf("--workers", "3", "--restart", "never", "--", file), 1);
    assert.equal(await codeOf("--", file, "0"), 0);
  });

  it("ends with 127 or 126 when the command cannot be started", async (t) => {
    const folder = temporaryFolder(t);
    const missing = new Run(t, ["--workers", "4", "--", "no-such-command"]);
    const { code, stdout, stderr } = await missing.exit;
    assert.deepEqual(
      [code, stdout, stderr],
      [127, "", 'utilization: Cannot run "no-such-command": no such command\n'],
    );
    const file = join(folder, "a.js");
    writeFileSync(file, "");
    const forbidden = await new Run(t, ["--", file]).exit;
    assert.equal(forbidden.code, 126);
    assert.match(
      forbidden.stderr,
      /^utilization: Cannot run "[^"]*a\.js": not executable, "node [^"]*a\.js" may be\n$/,
    );
    // It is found, and what it names is not.
    const interpreter = join(folder, "b");
    writeFileSync(interpreter, "#!/no/such/interpreter\n", { mode: 0o755 });
    const broken = await new Run(t, ["--workers", "4", "--", interpreter]).exit;
    assert.equal(broken.code, 127, broken.stderr);
    assert.match(broken.stderr, /ERROR Cannot run the command: /);
    assert.equal(existsSync(missing.supervisorFolder), false);
  });

  it("passes on large outputs whole, and waits for who reads them slowly", async (t) => {
    const folder = temporaryFolder(t);
    const count = 20_000;
    const text = `yes "$(printf %0100d 0) ä😀" | head -n ${count}; printf last`;
    const run = new Run(t, ["--workers", "2", "--", script(folder, "talk", text)], { folder });
    run.process.child.stdout!.pause();
    await run.until("the workers", () => /Sharing/.test(run.log));
    run.process.child.stdout!.resume();
    const { code, stdout } = await run.exit;
    assert.equal(code, 0);
    const lines = stdout.split("\n");
    assert.equal(lines.pop(), "");
    const whole = (number: number) => `talk.${number} | ${"0".repeat(100)} ä😀`;
    for (const number of [1, 2]) {
      assert.equal(lines.filter((line) => line === whole(number)).length, count);
      assert.equal(lines.filter((line) => line === `talk.${number} | last`).length, 1);
    }
    assert.equal(lines.length, 2 * (count + 1));
  });

  it("waits for the last words of a worker as long as somebody reads them", async (t) => {
    const folder = temporaryFolder(t);
    const run = new Run(t, ["--", script(folder, "talk", "seq 1 100000")], { folder });
    const output = run.process.child.stdout!;
    output.on("data", () => {
      output.pause();
      setTimeout(() => output.resume(), 150);
    });
    const { code, stdout } = await run.exit;
    assert.equal(code, 0);
    assert.equal(stdout.split("\n").length, 100_001);
  });

  // Nothing runs while Deno waits for a pipe, not even what listens to signals.
  const blocks = { skip: isDeno && "Deno writes to pipes synchronously" };
  it("ends when it is told to, though nobody reads its output", blocks, async (t) => {
    const folder = temporaryFolder(t);
    const file = script(folder, "a.sh", "echo first; exec yes");
    const run = new Run(t, ["--grace", "2s", "--", file], { folder });
    await run.until("a line", () => run.lines.length >= 1);
    const { child } = run.process;
    child.stdout!.pause();
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await new Promise((resolve) => setTimeout(resolve, 300));
    run.process.signal("SIGTERM");
    assert.equal(await ended, 0);
    child.stdout!.resume();
    assert.equal(existsSync(run.supervisorFolder), false);
  });

  it("prints nothing but values with --json, and nothing of its own with --raw", async (t) => {
    const folder = temporaryFolder(t);
    const file = script(folder, "a.sh", "echo out; echo error >&2; exec sleep 1000");
    const json = new Run(t, ["--json", "--interval", "20ms", "--", file], { folder });
    await json.until(
      "values and words",
      () => json.lines.length >= 3 && /^a\.1 \| error$/m.test(json.log),
    );
    json.process.signal("SIGTERM");
    const { code, stdout, stderr } = await json.exit;
    assert.equal(code, 0);
    for (const line of stdout.trimEnd().split("\n")) {
      assert.equal((JSON.parse(line) as { type: string }).type, "utilization_monitor");
    }
    assert.match(stderr, /^a\.1 \| out$/m);
    const raw = new Run(t, ["--raw", "--", file], { folder });
    await raw.until("words", () => raw.lines.length === 1 && /^error$/m.test(raw.log));
    raw.process.signal("SIGTERM");
    assert.equal((await raw.exit).stdout, "out\n");
  });

  it("ends when nobody reads its output any more", async (t) => {
    const folder = temporaryFolder(t);
    const file = script(folder, "a.sh", "while :; do echo $$; sleep 0.02; done");
    const run = new Run(t, ["--", file], { folder });
    await run.until("a line", () => run.lines.length >= 1);
    const pid = Number(/\| (\d+)/.exec(run.lines[0]!)![1]);
    run.process.child.stdout!.destroy();
    const { code, stderr } = await run.exit;
    assert.equal(code, 0, stderr);
    assert.equal(isRunning(pid), false);
    assert.equal(existsSync(run.supervisorFolder), false);
  });

  it("leaves the file where it is told to, and goes on with its totals", node, async (t) => {
    const folder = temporaryFolder(t);
    const words = ["--keep", "--name", "web", "--", ...SERVER];
    for (const expected of [1, 2]) {
      const run = new Run(t, words, { folder });
      await run.until("a server", () => run.numbers("port").length === 1);
      await (await fetch(`http://127.0.0.1:${run.numbers("port")[0]}`)).text();
      await until(async () => {
        const args = ["status", "--totals", "--dir", run.supervisorFolder, "--name", "web"];
        const { stdout } = await runCli(t, args);
        return (JSON.parse(stdout)[0] as Status).totals.web?.requests_total === expected;
      }, `a total of ${expected}`);
      run.process.signal("SIGTERM");
      assert.equal((await run.exit).code, 0);
      assert.deepEqual(run.remains.sort(), ["web.shm", "web.shm.journal"]);
    }
  });

  it("does not harm who has the socket, nor what is in a folder that was there", async (t) => {
    const folder = temporaryFolder(t);
    const file = script(folder, "a.sh", "echo here; exec sleep 1000");
    const first = new Run(t, ["--", file], { folder });
    mkdirSync(join(folder, "other"));
    await first.until("a worker", () => first.lines.length === 1);
    const second = await new Run(t, ["--", file], { folder }).exit;
    assert.equal(second.code, 1);
    assert.equal(second.stdout, "");
    assert.match(second.stderr, /another supervisor is listening there/);
    const beside = new Run(t, ["--name", "b", "--", file], { folder });
    await beside.until("a worker", () => beside.lines.length === 1);
    beside.process.signal("SIGTERM");
    assert.equal((await beside.exit).code, 0);
    assert.equal(first.remains.length, 4);
    first.process.signal("SIGTERM");
    assert.equal((await first.exit).code, 0);
    assert.deepEqual(readdirSync(folder).sort(), ["a.sh", "other"]);
  });

  it("serves what it sees by HTTP where it is told to", async (t) => {
    const folder = temporaryFolder(t);
    const file = script(folder, "a.sh", "echo here; exec sleep 1000");
    const run = new Run(t, ["--http", "0", "--", file], { folder });
    await run.until("a worker", () => run.lines.length === 1);
    const [, url] = /INFO Serving (http:\/\/127\.0\.0\.1:\d+\/)/.exec(run.log) ?? [];
    assert.ok(url !== undefined, run.log);
    const [status] = (await (await fetch(`${url}status`)).json()) as { type: string }[];
    assert.equal(status?.type, "utilization_monitor");
    run.process.signal("SIGTERM");
    assert.equal((await run.exit).code, 0);
    await assert.rejects(fetch(url));
    const wrong = await new Run(t, ["--http", "127.0.0.1:99999", "--", file], { folder }).exit;
    assert.equal(wrong.code, 2);
    assert.equal(wrong.stdout, "");
    assert.match(wrong.stderr, /99999/);
  });

  const mistakes: [words: string[], message: RegExp][] = [
    [[], /Cannot run nothing: utilization run \[options\] -- command/],
    [["node", "a.js"], /Unexpected argument 'node'/],
    [["--workers", "0", "--", "sh"], /--workers "0": a number from 1 to 4096/],
    [["--grace", "soon", "--", "sh"], /--grace "soon"/],
    [["--restart", "often", "--", "sh"], /--restart "often": one of always, on-failure, never/],
    [["--auto", "--no-auto", "--", "sh"], /--auto together with --no-auto/],
    [["--name", "a/b", "--", "sh"], /Cannot use name "a\/b"/],
    [["--socket", "a", "--", "sh"], /--socket without --path/],
    [["--segment-size", "100", "--", "sh"], /100: must be a multiple of 64/],
    [["--cluster", "--", "sh", "-c", "x"], isDeno ? /on Deno/ : /--cluster with "sh": a script of/],
  ];
  for (const [words, message] of mistakes) {
    it(`says what is wrong with: ${words.join(" ")}`, async (t) => {
      const { code, stdout, stderr } = await runCli(t, ["run", ...words]);
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, message);
      assert.match(stderr, /\nSee utilization run --help\n$/);
    });
  }
});
