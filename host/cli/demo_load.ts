// The load generator of the demo: a few clients for each server, busier and calmer in waves.

import { Agent, get } from "node:http";
import { setTimeout } from "node:timers/promises";
import type { ToLoad } from "./demo_messages.ts";

const CLIENTS = 4;
const WAVE_MS = 20_000;
const TIMEOUT_MS = 2000;
/** Pause after a request that failed. */
const RETRY_MS = 500;

const agent = new Agent({ keepAlive: true });
let targets: ReadonlySet<number> = new Set();

async function client(port: number): Promise<void> {
  while (targets.has(port)) {
    const succeeded = await request(port);
    const calm = 1 + Math.sin((Date.now() / WAVE_MS) * 2 * Math.PI);
    await setTimeout(succeeded ? (2 + 15 * calm) * Math.random() : RETRY_MS);
  }
}

function request(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host: "127.0.0.1", port, agent, timeout: TIMEOUT_MS };
    const outgoing = get(options, (response) => {
      response.resume();
      response.once("end", () => resolve(true));
      response.once("close", () => resolve(false));
    });
    outgoing.once("timeout", () => outgoing.destroy());
    outgoing.once("error", () => resolve(false));
  });
}

process.on("message", ({ ports }: ToLoad) => {
  const known = targets;
  targets = new Set(ports);
  for (const port of targets) {
    if (known.has(port)) continue;
    for (let i = 0; i < CLIENTS; i++) void client(port);
  }
});
// Ctrl-C goes to all processes of a terminal; the demo ends them in its own order.
process.on("SIGINT", () => {});
process.on("disconnect", () => process.exit());
