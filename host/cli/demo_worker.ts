// One HTTP server of the demo. It finds the supervisor in its environment, as any worker would.
// Arguments: the name of its service, and the process id of the demo.

import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout } from "node:timers/promises";
import { connect, stderrLogger } from "../index.ts";
import type { FromWorker, ToWorker } from "./demo_messages.ts";

/** How long a service takes to answer, and how much it says. */
const SERVICES: Readonly<Record<string, { readonly delayMs: number; readonly bytes: number }>> = {
  web: { delayMs: 20, bytes: 6000 },
  api: { delayMs: 60, bytes: 600 },
};

const [service = "web", demo] = process.argv.slice(2);
const { delayMs, bytes } = SERVICES[service] ?? { delayMs: 10, bytes: 1000 };
const demoId = Number(demo);

const { requests_total, requests_active, bytes_sent_total } = connect({
  name: service,
  schema: {
    requests_total: "u64",
    requests_active: "u32",
    bytes_sent_total: { type: "u64", unit: "bytes" },
  },
  log: { ...stderrLogger, info() {} },
}).metrics;

async function answer(response: ServerResponse): Promise<void> {
  await setTimeout(delayMs * (0.2 + Math.random()));
  const body = Buffer.alloc(Math.ceil(bytes * (0.5 + Math.random())), "utilization ");
  response.end(body);
  bytes_sent_total.increment(body.length);
}

const server = createServer((_, response) => {
  requests_total.increment();
  void requests_active.track(() => answer(response));
});

/** A bug that happens: code that never gives the event loop back. Here it works on something. */
function block(): never {
  for (;;) {
    const until = performance.now() + 2;
    while (performance.now() < until);
    requests_total.increment();
    // No event tells it that the demo has ended.
    if (process.ppid !== demoId) process.exit();
  }
}

function tell(message: FromWorker, done: () => void = () => {}): void {
  process.send?.(message, done);
}

server.listen(0, "127.0.0.1", () => {
  tell({ type: "listening", port: (server.address() as AddressInfo).port });
});
process.on("message", (message: ToWorker) => {
  if (message.type === "block") tell({ type: "blocking" }, block);
});
// Ctrl-C goes to all processes of a terminal; the demo ends them in its own order.
process.on("SIGINT", () => {});
process.on("disconnect", () => process.exit());
