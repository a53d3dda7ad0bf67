// Requests and connections of all HTTP servers of this thread, by what Node publishes: servers and
// their handlers are not touched.

import { subscribe } from "node:diagnostics_channel";
import type { Server, Socket } from "node:net";
import type { Metric } from "../metric.ts";

export interface TrafficMetrics {
  readonly requests_active: Metric;
  readonly requests_total: Metric;
  readonly connections_active: Metric;
  readonly connections_total: Metric;
}

/** A socket as we know it. */
interface Connection {
  /** Requests on it whose response is not finished. */
  requests: number;
}

/** The part of an HTTP/2 stream that is needed here. */
interface Stream {
  readonly id?: number;
  once(event: "close", listener: () => void): unknown;
}

/**
 * Counts from now on, for as long as the thread lives.
 *
 * @param onListening called whenever an HTTP server has begun to listen.
 */
export function countTraffic(metrics: TrafficMetrics, onListening: () => void): void {
  const { requests_active, requests_total, connections_active, connections_total } = metrics;
  const connections = new WeakMap<Socket, Connection>();

  /** `isOwn` is false for the decrypted side of a connection that is counted already. */
  const meet = (socket: Socket, isOwn: boolean): Connection => {
    const connection = { requests: 0 };
    connections.set(socket, connection);
    if (isOwn) {
      connections_total.increment();
      connections_active.increment();
    }
    socket.once("close", () => {
      if (isOwn) connections_active.decrement();
      // Responses that were not finished never will be; those that finish later find nothing left.
      requests_active.decrement(connection.requests);
      connection.requests = 0;
    });
    return connection;
  };

  on<{ server: Server }>("tracing:net.server.listen:asyncEnd", ({ server }) => {
    if (isHttpServer(server)) onListening();
  });
  on<{ socket: Socket & { server?: Server } }>("net.server.socket", ({ socket }) => {
    if (isHttpServer(socket.server) && !connections.has(socket)) meet(socket, true);
  });
  on<{ socket: Socket }>("http.server.request.start", ({ socket }) => {
    // One that is not known was handed to the server by the application, or has been there before us.
    const connection = connections.get(socket) ?? meet(socket, !("encrypted" in socket));
    connection.requests++;
    requests_total.increment();
    requests_active.increment();
  });
  on<{ socket: Socket }>("http.server.response.finish", ({ socket }) => {
    const connection = connections.get(socket);
    if (connection === undefined || connection.requests === 0) return;
    connection.requests--;
    requests_active.decrement();
  });
  // HTTP/2, which Node 20 does not publish.
  on<{ stream: Stream }>("http2.server.stream.start", ({ stream }) => {
    const isPushed = (stream.id ?? 0) % 2 === 0;
    if (isPushed) return;
    requests_total.increment();
    requests_active.increment();
    stream.once("close", () => requests_active.decrement());
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
