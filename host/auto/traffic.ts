// Requests and connections of all HTTP servers of this thread, by what Node publishes: servers and
// their handlers are not touched.

import { subscribe } from "node:diagnostics_channel";
import type { Server, Socket } from "node:net";
import type { Histogram } from "../histogram.ts";
import type { Metric } from "../metric.ts";

export interface TrafficMetrics {
  readonly requests_active: Metric;
  readonly requests_total: Metric;
  readonly connections_active: Metric;
  readonly connections_total: Metric;
  readonly request_duration_seconds: Histogram;
}

/** When the requests on a connection began whose response is not finished: they finish in order. */
type Begun = number[];

/** The part of an HTTP/2 stream that is needed here. */
interface Stream {
  readonly id?: number;
  readonly aborted: boolean;
  readonly rstCode: number;
  once(event: "close", listener: () => void): unknown;
}

/**
 * Counts from now on, for as long as the thread lives.
 *
 * @param onListening called whenever an HTTP server has begun to listen.
 */
export function countTraffic(metrics: TrafficMetrics, onListening: () => void): void {
  const { requests_active, requests_total, connections_active, connections_total } = metrics;
  const { request_duration_seconds } = metrics;
  const connections = new WeakMap<Socket, Begun>();

  const observeSince = (begun: number): void =>
    request_duration_seconds.observe((performance.now() - begun) / 1000);

  /** `isOwn` is false for the decrypted side of a connection that is counted already. */
  const meet = (socket: Socket, isOwn: boolean): Begun => {
    const requests: Begun = [];
    connections.set(socket, requests);
    if (isOwn) {
      connections_total.increment();
      connections_active.increment();
    }
    socket.once("close", () => {
      if (isOwn) connections_active.decrement();
      // Responses that were not finished never will be; those that finish later find nothing left.
      requests_active.decrement(requests.length);
      requests.length = 0;
    });
    return requests;
  };

  on<{ server: Server }>("tracing:net.server.listen:asyncEnd", ({ server }) => {
    if (isHttpServer(server)) onListening();
  });
  on<{ socket: Socket & { server?: Server } }>("net.server.socket", ({ socket }) => {
    if (isHttpServer(socket.server) && !connections.has(socket)) meet(socket, true);
  });
  on<{ socket: Socket }>("http.server.request.start", ({ socket }) => {
    // One that is not known was handed to the server by the application, or has been there before us.
    const requests = connections.get(socket) ?? meet(socket, !("encrypted" in socket));
    requests.push(performance.now());
    requests_total.increment();
    requests_active.increment();
  });
  on<{ socket: Socket }>("http.server.response.finish", ({ socket }) => {
    const begun = connections.get(socket)?.shift();
    if (begun === undefined) return;
    requests_active.decrement();
    observeSince(begun);
  });
  // HTTP/2, which Node 20 does not publish.
  on<{ stream: Stream }>("http2.server.stream.start", ({ stream }) => {
    const isPushed = (stream.id ?? 0) % 2 === 0;
    if (isPushed) return;
    requests_total.increment();
    requests_active.increment();
    const begun = performance.now();
    stream.once("close", () => {
      requests_active.decrement();
      if (!stream.aborted && stream.rstCode === 0) observeSince(begun);
    });
  });
}

function on<Message>(channel: string, listener: (message: Message) => void): void {
  subscribe(channel, (message) => listener(message as Message));
}

/**
 * By what they have: to load the modules that have the classes costs every process up to 15 ms,
 * whether it has servers or not.
 */
function isHttpServer(server: object | undefined): boolean {
  // Of HTTP/1, and of HTTP/2.
  return server !== undefined && ("keepAliveTimeout" in server || "updateSettings" in server);
}
