// Loaded into the workers of --cluster before their script: one that is to end answers what it was
// asked, and then gets its SIGTERM. Few servers do so by themselves, and the others would cut off
// who is waiting for an answer.

import cluster from "node:cluster";
import { channel, subscribe } from "node:diagnostics_channel";
import type { ServerResponse } from "node:http";
import { isMainThread } from "node:worker_threads";
import { LAST_MOMENT } from "../segment_image.ts";

/** What a worker is told. Others of its messages are the application's. */
export const LEAVE = "utilization:leave";
/** Who has asked nothing for so long is hardly about to: its connection may be closed. */
const IDLE_MS = 1000;

if (isMainThread && cluster.worker !== undefined) {
  const { worker } = cluster;
  // Ctrl-C goes to all processes of a terminal. They are ended one after the other, by SIGTERM.
  for (const name of ["SIGINT", "SIGHUP"]) process.on(name, () => {});
  let isLeaving = false;
  let lastRequest = Number.NEGATIVE_INFINITY;
  subscribe("http.server.request.start", (message) => {
    const { response } = message as { readonly response: ServerResponse };
    lastRequest = performance.now();
    // The connection ends with this answer: no request can cross its end.
    if (isLeaving) response.shouldKeepAlive = false;
  });
  const leave = (): void => {
    if (isLeaving) return;
    isLeaving = true;
    worker.once("disconnect", () => {
      channel(LAST_MOMENT).publish(null);
      process.kill(process.pid, "SIGTERM");
    });
    // Closes the servers, and waits for the end of their connections.
    const disconnect = (): void => void worker.disconnect();
    const isIdle = performance.now() - lastRequest >= IDLE_MS;
    // What has arrived is read first, however late the timer is.
    setTimeout(() => setImmediate(disconnect), isIdle ? 0 : IDLE_MS);
  };
  // Handlers of the application would take it for a message of their own.
  const { emit } = process;
  process.emit = ((event: string, ...values: unknown[]): boolean => {
    if (event !== "message" || values[0] !== LEAVE) {
      return Reflect.apply(emit, process, [event, ...values]);
    }
    leave();
    return true;
  }) as typeof process.emit;
}
