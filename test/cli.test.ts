import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readJson } from "./data.ts";
import { runCli } from "./fixtures/cli_process.ts";

const { version } = readJson("package.json") as { version: string };

describe("utilization", () => {
  it("prints a short help with the command of the demo when it is asked nothing", async (t) => {
    const { code, stdout, stderr } = await runCli(t, []);
    assert.equal(code, 0);
    assert.equal(stderr, "");
    assert.ok(stdout.split("\n").length - 1 <= 16);
    assert.match(stdout, /npx utilization-monitor demo/);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
  });

  it("prints the same help for --help, and the version for --version", async (t) => {
    const [nothing, help, number] = await Promise.all([
      runCli(t, []),
      runCli(t, ["--help"]),
      runCli(t, ["--version"]),
    ]);
    assert.deepEqual(help, nothing);
    assert.deepEqual([number.code, number.stdout, number.stderr], [0, `${version}\n`, ""]);
    assert.equal((readJson("deno.json") as { version: string }).version, version);
  });

  for (const command of ["demo", "inspect", "run", "status", "supervise", "top"]) {
    it(`prints help for ${command} --help, and does nothing`, async (t) => {
      const { code, stdout, stderr } = await runCli(t, [command, "--help"]);
      assert.equal(code, 0);
      assert.equal(stderr, "");
      assert.ok(stdout.startsWith(`Usage: utilization ${command} `));
      for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
    });
  }

  const mistakes: readonly [args: string[], message: RegExp, help: string][] = [
    [
      ["tap"],
      /^utilization: Unknown command "tap": not one of demo, doctor, inspect, run, status, supervise, top$/m,
      "--help",
    ],
    [["--verbose"], /^utilization: Unknown option "--verbose"/m, "--help"],
    [["status", "--verbose"], /--verbose/, "status --help"],
    [["demo", "now"], /now/, "demo --help"],
    [["status", "--name"], /--name/, "status --help"],
    [["status", "--dir", ""], /Cannot use --dir without a value$/m, "status --help"],
    [["status", "--name", "a/b"], /Cannot use name "a\/b"/, "status --help"],
    [["status", "--name", "a", "--socket", "b"], /--name together with --socket/, "status --help"],
    [["top", "--interval", "50ms"], /--interval "50ms": 200ms or more/, "top --help"],
    [["top", "--file", "a", "--name", "b"], /--name together with --file/, "top --help"],
    [["supervise", "--socket", "a"], /--socket without --path/, "supervise --help"],
    [["supervise", "--path", "a"], /--path without --socket/, "supervise --help"],
    [
      ["supervise", "--interval", "1 day"],
      /--interval "1 day": 500ms, 10s, 2m or a number of seconds/,
      "supervise --help",
    ],
    [["supervise", "--size", "1MB"], /--size "1MB": 512, 32KiB or 64MiB/, "supervise --help"],
    [["supervise", "--size", "65MiB"], /--size 68157440: beyond --max-size/, "supervise --help"],
    [["supervise", "--segment-size", "100"], /100: must be a multiple of 64/, "supervise --help"],
    [
      ["supervise", "--leak-window", "500ms"],
      /--leak-window "500ms": 0 for never, or 1s/,
      "supervise --help",
    ],
    [["supervise", "--segment-size", "1MiB"], /1048576: beyond --size/, "supervise --help"],
    [["supervise", "--mode", "rw"], /--mode "rw": an octal mode such as 0600/, "supervise --help"],
    [["supervise", "--group", "no such"], /"no such": not in \/etc\/group/, "supervise --help"],
    [["demo", "--workers", "0"], /--workers "0": a number from 1 to 256/, "demo --help"],
  ];
  for (const [args, message, help] of mistakes) {
    it(`says what is wrong with: ${args.join(" ")}`, async (t) => {
      const { code, stdout, stderr } = await runCli(t, args);
      assert.equal(code, 2, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, message);
      const lines = stderr.split("\n");
      assert.equal(lines.length, 3, stderr);
      assert.equal(lines[1], `See utilization ${help}`);
    });
  }
});
