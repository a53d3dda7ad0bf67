// README's Deno lines, as a new user pastes them into an empty folder, with the packed package; and
// what JSR would be given.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { program } from "../tools/programs.js";
import { serveRegistry } from "./registry.js";

const root = new URL("../../", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("package.json", root)));
const LIMIT_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), "um-deno-"));
const children = new Set();
let registry;
try {
  checkPublished();
  console.log("ok: what JSR would be given");
  await checkLines();
  console.log("ok: README's Deno lines");
} finally {
  for (const child of children) process.kill(-child.pid, "SIGKILL");
  registry?.close();
  rmSync(folder, { recursive: true, force: true });
}

async function checkLines() {
  const packed = spawnSync("npm", ["pack", "--silent", "--pack-destination", folder], {
    cwd: root,
  });
  if (packed.status !== 0) throw new Error(`Cannot pack: ${packed.stderr}`);
  const tarball = join(folder, packed.stdout.toString().trim());
  registry = await serveRegistry(tarball, manifest);
  const { UTILIZATION_MAPPING, UTILIZATION_SUPERVISOR, UTILIZATION_DIR, ...rest } = process.env;
  const env = {
    ...rest,
    PATH: [dirname(program("deno")), process.env.PATH].join(delimiter),
    DENO_DIR: join(folder, ".deno"),
    NPM_CONFIG_REGISTRY: registry.url,
    NO_COLOR: "1",
  };
  const [add, run] = blocks("sh");
  const [worker] = blocks("ts");
  writeFileSync(join(folder, "worker.ts"), worker);
  const adding = start(add, env);
  await until(adding, "it is added", () => adding.child.exitCode === 0);

  const audits = ["supervisor", "worker"].map((name) => join(folder, `${name}.jsonl`));
  const audited = (audit) => ({ ...env, DENO_AUDIT_PERMISSIONS: audit });
  const [superviseLine, workerLine] = run.trim().split("\n");
  const supervisor = start(superviseLine, audited(audits[0]));
  await until(supervisor, "it listens", (text) => text.includes("Listening on"));
  const counting = start(workerLine, audited(audits[1]));
  await until(counting, "the worker is registered", (text) =>
    /Registered .*\(mapping: deno\)/.test(text),
  );
  // The second line, after an interval of 10 s, has the counter.
  await until(supervisor, "the worker is read", (text) =>
    /"web":\{"requests_total":[1-9]\d*,"worker_count":1\}/.test(text),
  );
  for (const audit of audits) checkAsked(readFileSync(audit, "utf8"));
}

/** In a terminal Deno would stop and ask for more than it was given; here it refuses in silence. */
function checkAsked(text) {
  const asked = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const strange = asked.filter(
    ({ permission, value }) =>
      permission === "env" ||
      (permission === "sys" && value !== "uid") ||
      String(value).startsWith("/proc/"),
  );
  if (asked.length === 0 || strange.length > 0) {
    throw new Error(`Deno was asked for more: ${JSON.stringify(strange)}`);
  }
}

/** What .gitignore hides is left out without a word, and slow types are an error. */
function checkPublished() {
  const command = ["publish", "--dry-run", "--allow-dirty"];
  const env = { ...process.env, NO_COLOR: "1" };
  const { status, stderr } = spawnSync(program("deno"), command, { cwd: root, env });
  const text = stderr.toString();
  const cores = ["build/core_bytes.ts", "build/core.wasm", "build/core.simd.wasm"];
  const files = ["host/index.ts", "host/http/server.ts", "build/page_files.ts", "LICENSE"];
  for (const file of [...files, ...cores]) {
    if (!text.includes(`/${file} (`))
      throw new Error(`Cannot publish: ${file} is missing: ${text}`);
  }
  if (status !== 0) throw new Error(`Cannot publish: ${text}`);
}

/** The code of README's section for Deno in one language. */
function blocks(language) {
  const text = readFileSync(new URL("README.md", root), "utf8");
  const section = /^## On Deno\n([\s\S]*?)^## /m.exec(text)?.[1] ?? "";
  return [...section.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm"))].map(
    ([, code]) => code,
  );
}

function start(line, env) {
  // No terminal: Deno refuses what it would ask for.
  const child = spawn("sh", ["-c", line], { cwd: folder, env, detached: true });
  const process = { child, text: "" };
  children.add(child);
  child.once("exit", () => children.delete(child));
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (piece) => {
      process.text += piece;
    });
  }
  return process;
}

async function until(process, what, condition) {
  const deadline = performance.now() + LIMIT_MS;
  while (!condition(process.text)) {
    if (performance.now() > deadline || (process.child.exitCode ?? 0) !== 0) {
      throw new Error(`Waited in vain until ${what}: ${process.text}`);
    }
    await sleep(50);
  }
}
