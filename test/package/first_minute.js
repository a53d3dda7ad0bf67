// The first minute of somebody who has a server and changes nothing in it: run it, load it, look at
// it, and see that a worker is stuck.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { output } from "./checks.js";

const AUTOCANNON = fileURLToPath(
  new URL("../tools/node_modules/autocannon/autocannon.js", import.meta.url),
);
const WORKERS = 4;
const REQUESTS = 2000;
const PATIENCE_MS = 60_000;

const SERVER = `const { createServer } = require("node:http");
const server = createServer((request, response) => {
  response.end("hello\\n");
});
server.listen(0, () => {
  console.log("port", server.address().port);
});
`;

/**
 * @param {string} folder where the package is installed.
 * @param {object} env
 * @returns {Promise<string>} what was seen.
 */
export async function checkFirstMinute(folder, env) {
  const place = mkdtempSync(join(folder, "first-minute-"));
  writeFileSync(join(place, "server.js"), SERVER);
  const bin = join(folder, "node_modules/.bin/utilization");
  const dir = join(place, "supervisor");
  const run = [`--workers=${WORKERS}`, "--cluster", "--name=web", `--dir=${dir}`, "--http=0"];
  const child = spawn(bin, ["run", ...run, "--", "node", "server.js"], { cwd: place, env });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      text += chunk;
    });
  }
  const exited = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  try {
    await until("all workers listen", () => text.match(/port \d+/g)?.length === WORKERS, text);
    const page = /Serving (\S+)/.exec(text)[1];
    const port = /port (\d+)/.exec(text)[1];
    await until("all workers are registered", async () => {
      return (await statusOf(page)).data.web?.worker_count === WORKERS;
    });

    const load = [AUTOCANNON, "-c", "8", "-a", String(REQUESTS), "--json"];
    const answers = await output(process.execPath, [...load, `http://127.0.0.1:${port}/`]);
    const answered = JSON.parse(answers)["2xx"];
    assert.ok(answered >= REQUESTS, `${answered} answers`);
    const counted = await until("all answers are counted", async () => {
      const { requests_total } = (await statusOf(page)).data.web;
      return requests_total >= answered && requests_total;
    });
    assert.equal(counted, answered);
    const metrics = await (await fetch(`${page}metrics`)).text();
    assert.match(
      metrics,
      new RegExp(`^utilization_requests_total\\{service="web"\\} ${answered}$`, "m"),
    );
    const top = await topOf(bin, dir, env);
    assert.match(top, new RegExp(`\\bweb +${WORKERS} .*\\b${answered.toLocaleString("en")}\\b`));

    const [worker] = (await statusOf(page, "?workers")).workers;
    process.kill(worker.processId, "SIGSTOP");
    await until("the page knows that one stands still", async () => {
      return (await statusOf(page)).stalled.web === 1;
    });
    assert.match(
      await topOf(bin, dir, env),
      new RegExp(`1 stalled: web pid ${worker.processId}\\b`),
    );
    process.kill(worker.processId, "SIGCONT");
    await until("it runs again", async () => (await statusOf(page)).stalled.web === undefined);

    child.kill("SIGTERM");
    assert.equal(await exited, 0, text);
    assert.ok(!existsSync(dir), "the supervisor's folder is left behind");
    return `${answered} requests, counted by ${WORKERS} workers`;
  } finally {
    child.kill("SIGKILL");
  }
}

async function statusOf(page, query = "") {
  const [status] = await (await fetch(`${page}status${query}`)).json();
  return status;
}

function topOf(bin, dir, env) {
  const wide = { ...env, COLUMNS: "250" };
  return output(bin, ["top", "--once", "--name", "web", "--dir", dir], { env: wide });
}

/** What the condition answers once it is true. */
async function until(what, condition, text = "") {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`It did not happen that ${what}\n${text}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
