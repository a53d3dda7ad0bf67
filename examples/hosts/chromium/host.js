// The core in Chromium: the vectors, and then a file that real workers have written, which must
// show the numbers that the command line prints.

import { fork, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { output, runner, vectors, withCopy } from "../support.js";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const playwright = new URL(
  "../../../test/tools/node_modules/playwright-core/index.mjs",
  import.meta.url,
);
const fromRoot = (path) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The services of the workers, one process each. */
const WORKERS = ["web", "web", "api", "web", "api", "batch"];
const PATIENCE_MS = 20_000;

export const chromium = {
  name: "chromium",
  missing() {
    if (!existsSync(executablePath))
      return `${executablePath} is missing: apt-get install chromium`;
    if (!existsSync(playwright)) return 'run "npm ci --prefix test/tools"';
    return null;
  },
  version() {
    const { stdout } = spawnSync(executablePath, ["--version"], { encoding: "utf8" });
    return /\d[\d.]+/.exec(stdout)?.[0] ?? "unknown";
  },
  run: () =>
    withCopy("chromium", [runner, "build/layout.js", "build/field_type.js"], async (copy) => {
      const ends = [];
      try {
        return await check(copy, (end) => ends.push(end));
      } finally {
        for (const end of ends.reverse()) await end();
      }
    }),
};

async function check(copied, atEnd) {
  const page = await openPage(copied, atEnd);
  // What its policy forbids is such an error, too.
  const errors = [];
  page.on("pageerror", ({ message }) => errors.push(message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  const counts = await checkVectors(page);
  const folder = mkdtempSync(join(tmpdir(), "um-chromium-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const wanted = await recordFile(folder, atEnd);
  const copy = join(folder, "copy.shm");
  const description = join(folder, "copy.json");
  await page.setInputFiles("#copy", copy);
  await page.setInputFiles("#description", description);
  await compare(page, wanted);
  await page.reload();
  await drop(page, [copy, description]);
  await compare(page, wanted);
  if (errors.length > 0) throw new Error(`The page reported: ${errors.join("; ")}`);
  return counts;
}

async function compare(page, wanted) {
  await page.waitForSelector(".service, .problem", { timeout: PATIENCE_MS });
  const shown = JSON.stringify(await page.evaluate(readPage));
  if (shown !== wanted) throw new Error(`Wanted ${wanted}, the page shows ${shown}`);
}

/** In the page: the text of every cell by service and field, or of what went wrong. */
function readPage() {
  const tables = [...document.querySelectorAll(".service table")];
  if (tables.length === 0) return document.getElementById("status").textContent;
  return tables.map(({ caption, rows }) => [
    caption.textContent,
    [...rows].map(({ cells }) => [...cells].map((cell) => cell.textContent)),
  ]);
}

/** Drops files on the page, as a person would. */
async function drop(page, paths) {
  const files = paths.map((path) => ({
    name: basename(path),
    base64: readFileSync(path, "base64"),
  }));
  const transfer = await page.evaluateHandle((files) => {
    const transfer = new DataTransfer();
    for (const { name, base64 } of files) {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      transfer.items.add(new File([bytes], name));
    }
    return transfer;
  }, files);
  await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
}

/** The page, as the copy serves it, in a browser with a fresh profile. */
async function openPage(copied, atEnd) {
  const { serve } = await import(join(copied, "examples/hosts/chromium/serve.js"));
  const { server, url } = await serve();
  atEnd(() => {
    server.close();
    server.closeAllConnections();
  });
  const { chromium: driver } = await import(playwright);
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  const browser = await driver.launch({ executablePath, args: [...FLAGS, ...sandbox] });
  atEnd(() => browser.close());
  const page = await browser.newPage();
  await page.goto(url);
  await page.waitForFunction(() => !/^Loading/.test(document.getElementById("status").textContent));
  return page;
}

async function checkVectors(page) {
  await page.setInputFiles("#vectors", vectors.map(fromRoot));
  await page.waitForFunction(() => document.getElementById("verdict").textContent !== "");
  const [verdict, failures] = await page.evaluate(() =>
    ["verdict", "failures"].map((id) => document.getElementById(id).textContent),
  );
  const counts = /^(\d+) of (\d+) cases passed$/.exec(verdict);
  if (counts === null || failures !== "") throw new Error(`${verdict} ${failures}`.trim());
  return { passed: Number(counts[1]), total: Number(counts[2]) };
}

/** Has workers write a file, copies it, and returns what the command line prints of it. */
async function recordFile(folder, atEnd) {
  const socket = join(folder, "app.ipc");
  const supervisor = spawn(process.execPath, [local("supervise.js"), folder], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  atEnd(async () => {
    supervisor.stdin.end();
    if (supervisor.exitCode === null) await once(supervisor, "exit");
  });
  const copies = createInterface({ input: supervisor.stdout })[Symbol.asyncIterator]();
  const pids = [];
  for (const [index, service] of WORKERS.entries()) {
    const worker = fork(local("worker.js"), [service, String(index + 1)], {
      stdio: "ignore",
      env: { ...process.env, UTILIZATION_SUPERVISOR: socket },
    });
    atEnd(() => worker.kill("SIGKILL"));
    pids.push(worker.pid);
    // One after the other, so that the last one is known.
    await until(() => countingPids(socket).includes(worker.pid), `worker ${index} counts`);
  }
  // From here on the file stands still. Its supervisor does not need the workers.
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  supervisor.stdin.write("\n");
  const { value: copied = "nothing" } = await copies.next();
  if (!copied.startsWith(`Copied ${pids.length} segments`)) {
    throw new Error(`The supervisor said: ${copied}`);
  }
  return printed(socket);
}

function local(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}

function status(socket, ...options) {
  const main = "dist/host/cli/main.js";
  return output(process.execPath, [main, "status", "--socket", socket, ...options]);
}

/** The processes of the workers that have counted something. */
function countingPids(socket) {
  if (!existsSync(socket)) return [];
  const [{ workers }] = JSON.parse(status(socket, "--by-worker"));
  return workers.filter(({ data }) => data.requests_total > 0).map(({ processId }) => processId);
}

/** What the command line prints, in the order in which it does, every number with its digits. */
function printed(socket) {
  const text = status(socket).replace(/:(-?\d[^,}]*|null)/g, ':"$1"');
  const [{ data }] = JSON.parse(text);
  return JSON.stringify(
    Object.entries(data).map(([name, values]) => [name, Object.entries(values)]),
  );
}

async function until(condition, what) {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Waited in vain until ${what}`);
    await setTimeout(50);
  }
}
