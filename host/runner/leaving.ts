// Loaded into the workers of --cluster before their script: one that is to end takes no more
// connections, answers what it was asked, and then gets its SIGTERM. Few servers would do so by
// themselves, and the others would cut off who is waiting for an answer.

import cluster from "node:cluster";
import { subscribe } from "node:diagnostics_channel";
import type { ServerResponse } from "node:http";
import type { Server, Socket } from "node:net";
import { isMainThread } from "node:worker_threads";

const LOOK_MS = 20;
/** Who has sent nothing for so long is hardly about to. */
const IDLE_MS = 1000;

const servers: Set<Server & { closeIdleConnections?: () => void }> = new Set();
let isLeaving = false;

async function leave(): Promise<void> {
  isLeaving = true;
  const start = performance.now();
  const look = async (): Promise<void> => {
    const counts = await Promise.all([...servers].map(connectionCount));
    if (counts.every((count) => count === 0)) {
      clearInterval(timer);
      process.kill(process.pid, "SIGTERM");
    } else if (performance.now() - start >= IDLE_MS) {
      for (const server of servers) server.closeIdleConnections?.();
    }
  };
  const timer = setInterval(look, LOOK_MS);
}

function connectionCount(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((_, count = 0) => resolve(count));
  });
}

if (isMainThread && cluster.worker !== undefined) {
  const { worker } = cluster;
  // Ctrl-C goes to all processes of a terminal. They are ended one after the other, by SIGTERM.
  for (const name of ["SIGINT", "SIGHUP"]) process.on(name, () => {});
  subscribe("net.server.socket", (message) => {
    const { socket } = message as { readonly socket: Socket & { readonly server?: Server } };
    if (socket.server !== undefined) servers.add(socket.server);
  });
  subscribe("http.server.request.start", (message) => {
    const { response } = message as { readonly response: ServerResponse };
    // The connection ends with this answer: no request can cross its end.
    if (isLeaving) response.shouldKeepAlive = false;
  });
  worker.once("disconnect", () => {
    if (worker.exitedAfterDisconnect) void leave();
  });
}
