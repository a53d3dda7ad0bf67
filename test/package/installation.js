// A folder into which the package is installed, by an npm that finds no compiler.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { output } from "./checks.js";
import { asCommonJs } from "./readme.js";

const LIMIT_MS = 30_000;
/** Node 20 says once that `require` of such a module is new. */
const NEWS_OF_NODE =
  /^\(node:\d+\) ExperimentalWarning: CommonJS module .*\n.*\n\(Use `node --trace-warnings .*\)\n/m;

/**
 * An environment whose PATH has Node, npm and a shell, and nothing else.
 *
 * @param {string} folder to be created.
 * @param {string} node path of the program.
 * @param {string} npm path of `npm-cli.js`.
 */
export function bareEnvironment(folder, node, npm) {
  mkdirSync(folder);
  const programs = { node, npm, npx: join(dirname(npm), "npx-cli.js"), sh: "/bin/sh" };
  for (const [name, path] of Object.entries(programs)) symlinkSync(path, join(folder, name));
  // What npm tells the scripts that it runs, this one perhaps, is not meant for an npm of the user.
  const ours = /^(npm_|NODE_OPTIONS$|UTILIZATION_|RUNTIME_DIRECTORY$)/i;
  const kept = Object.entries(process.env).filter(([name]) => !ours.test(name));
  return { ...Object.fromEntries(kept), PATH: folder };
}

export class Installation {
  /** @param {string} folder to be created, empty. */
  constructor(folder) {
    this.folder = folder;
    mkdirSync(folder);
  }

  /** `npm install` with these arguments. */
  install(args, environment) {
    const all = ["install", "--no-audit", "--no-fund", ...args];
    return output("npm", all, { cwd: this.folder, env: environment });
  }

  /**
   * Runs README's example, as an ES module and with `require` at once, beside its supervisor, until
   * that has read what both count.
   *
   * @param {{worker: string, supervise: string}} example
   * @param {object} environment
   * @param {string} mapping that the workers must have.
   * @param {string} commonJs the second worker.
   * @returns {Promise<string>} what the supervisor has read.
   */
  async runExample({ worker, supervise }, environment, mapping, commonJs = asCommonJs(worker)) {
    writeFileSync(join(this.folder, "worker.mjs"), worker);
    writeFileSync(join(this.folder, "worker.cjs"), commonJs);
    const run = join(this.folder, `run-${process.hrtime.bigint()}`);
    const env = { ...environment, UTILIZATION_DIR: run };
    // In place of the usual ten seconds.
    const supervisor = new Program(`${supervise} --interval 200ms`, this.folder, env);
    const workers = ["mjs", "cjs"].map(
      (extension) => new Program(`exec node worker.${extension}`, this.folder, env),
    );
    const all = [supervisor, ...workers];
    try {
      const line = await until(all, () => supervisor.lines().find(countsBoth));
      for (const { errors } of workers) {
        const text = errors.replace(NEWS_OF_NODE, "");
        assert.match(text, /^.*Registered with supervisor at ".*" \(mapping: [\w-]+\)\n$/);
        assert.ok(text.includes(`(mapping: ${mapping})`), text);
      }
      const said = supervisor.errors.split("\n").filter((text) => /mapping|mmap-io/.test(text));
      assert.equal(said.length, 1, said.join("\n"));
      assert.match(said[0], new RegExp(`Sharing ".*" \\(mapping: ${mapping}, `));
      return JSON.stringify(JSON.parse(line).data);
    } finally {
      for (const program of all) program.kill();
    }
  }
}

function countsBoth(line) {
  if (line === "") return false;
  const { worker_count, requests_total } = JSON.parse(line).data.web ?? {};
  return worker_count === 2 && requests_total > 0;
}

/** Those that are to be ended with this process. */
const running = new Set();
process.on("exit", () => {
  for (const program of running) program.kill();
});

class Program {
  #child;
  #text = "";
  errors = "";

  constructor(command, cwd, env) {
    this.command = command;
    running.add(this);
    // A group of its own: npx has children.
    this.#child = spawn("sh", ["-c", command], {
      cwd,
      env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout.setEncoding("utf8").on("data", (piece) => {
      this.#text += piece;
    });
    this.#child.stderr.setEncoding("utf8").on("data", (piece) => {
      this.errors += piece;
    });
  }

  get ended() {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Whole lines. */
  lines() {
    return this.#text.split("\n").slice(0, -1);
  }

  toString() {
    return `${this.command}${this.ended ? " (ended)" : ""}\n${this.#text.slice(-2000)}${this.errors}`;
  }

  kill() {
    running.delete(this);
    try {
      process.kill(-this.#child.pid, "SIGKILL");
    } catch (error) {
      if (error.code !== "ESRCH") throw error;
    }
  }
}

async function until(programs, condition) {
  const deadline = performance.now() + LIMIT_MS;
  for (;;) {
    const result = condition();
    if (result) return result;
    if (performance.now() > deadline || programs.some((program) => program.ended)) {
      throw new Error(`the supervisor did not read both workers\n${programs.join("\n")}`);
    }
    await sleep(20);
  }
}
