// The HTTP server of a supervisor: values for programs, metrics for scrapers, a page for people. It
// only reads, has no authentication, and listens on loopback unless it is told otherwise.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { exactJson } from "../exact_json.ts";
import { budgeted, type Logger, stderrLogger } from "../log.ts";
import type { Supervisor } from "../supervisor.ts";
import type { UtilizationMonitor } from "../utilization_monitor.ts";
import { authority, isLoopback, parseAddress } from "./address.ts";
import { HEADERS, refuse, refuseMalformed, send } from "./answer.ts";
import { Feed, type FeedOptions, type Subscription } from "./feed.ts";
import { Guard } from "./guard.ts";
import { Metrics } from "./metrics.ts";
import { CONTENT_TYPES, preferredFormat } from "./negotiation.ts";
import { type PageFile, pageFiles } from "./page.ts";

export interface HttpServerOptions {
  /** Adds how often its limits were reached to the metrics. */
  readonly supervisor?: Pick<Supervisor, "limitsReached"> | undefined;
  /** Whose values are served. */
  readonly monitors: readonly UtilizationMonitor[];
  /** `127.0.0.1:9464`, `:9464` on loopback, `[::1]:0`; see {@link HttpServer.url}. */
  readonly address: string;
  /** Names that clients may call us by, besides those of this machine: a check of `Host`. */
  readonly hosts?: readonly string[] | undefined;
  /** Connections at once; 256 by default. One more is closed at once. */
  readonly maxConnections?: number | undefined;
  /** Readers of events at once; 64 by default. One more is told to come later. */
  readonly maxReaders?: number | undefined;
  /**
   * What names of metrics begin with, before an underscore; `utilization` by default. With an empty
   * one, a field has its own name.
   */
  readonly namespace?: string | undefined;
  readonly log?: Logger | undefined;
  /**
   * How often workers were started again, by service.
   *
   * @internal
   */
  readonly restarts?: (() => Readonly<Record<string, number>>) | undefined;
  /** @internal */
  readonly feed?: Pick<FeedOptions, "heartbeatMs" | "patienceMs"> | undefined;
}

const MAX_CONNECTIONS = 256;
const MAX_READERS = 64;
/** Of errors that clients can cause, in ten seconds. */
const LOG_LINES = 10;
const MAX_HEADER_SIZE = 8192;
/** How long a client may take for the headers of a request, and idle before the next. */
const HEADERS_MS = 5000;
const IDLE_MS = 5000;
/** Of {@link Subscription}, in seconds. */
const SHORTEST_INTERVAL = 0.1;
const LONGEST_INTERVAL = 60;

const JSON_TYPE = "application/json; charset=utf-8";
const PLAIN_TYPE = "text/plain; charset=utf-8";

type Handler = (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => void;

/**
 * Serves what monitors know: `/` (a page), `/status` (JSON), `/metrics`, `/events`, `/healthz`.
 *
 * @example
 * ```ts
 * const http = await HttpServer.listen({ monitors: [monitor], address: "127.0.0.1:9464" });
 * console.log(http.url);
 * ```
 */
export class HttpServer {
  readonly #monitors: readonly UtilizationMonitor[];
  readonly #log: Logger;
  readonly #guard: Guard;
  readonly #feed: Feed;
  readonly #maxReaders: number;
  readonly #metrics: Metrics;
  readonly #server: Server;
  readonly #page: ReadonlyMap<string, PageFile> = pageFiles();
  readonly #sockets: Set<Socket> = new Set();
  /** Texts that were made in this turn of the event loop. */
  readonly #texts: Map<string, string> = new Map();
  readonly #routes: ReadonlyMap<string, Handler>;
  #url = "";
  #closing: Promise<void> | null = null;

  private constructor(options: HttpServerOptions, host: string) {
    const { monitors, hosts = [], log = stderrLogger } = options;
    this.#monitors = monitors;
    this.#log = budgeted(log, LOG_LINES, () => {});
    this.#guard = new Guard([...hosts, host]);
    this.#maxReaders = options.maxReaders ?? MAX_READERS;
    this.#metrics = new Metrics(options, this.#log);
    this.#feed = new Feed({
      read: (subscription) => this.#eventData(subscription),
      onError: (error) => this.#log.error("Error reading the status of a monitor", error),
      ...options.feed,
    });
    this.#routes = new Map<string, Handler>([
      ["/status", (...exchange) => this.#sendStatus(...exchange)],
      ["/fields", (request, response) => this.#sendFields(request, response)],
      ["/metrics", (...exchange) => this.#sendMetrics(...exchange)],
      ["/events", (...exchange) => this.#sendEvents(...exchange)],
      ["/healthz", (request, response) => send(request, response, 200, PLAIN_TYPE, "ok\n")],
    ]);
    const limits = {
      maxHeaderSize: MAX_HEADER_SIZE,
      headersTimeout: HEADERS_MS,
      requestTimeout: HEADERS_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: 1000,
    };
    this.#server = createServer(limits, (request, response) => this.#answer(request, response));
    const most = options.maxConnections ?? MAX_CONNECTIONS;
    this.#server.on("connection", (socket: Socket) => this.#accept(socket, most));
    this.#server.on("clientError", refuseMalformed);
  }

  /**
   * Listens, and serves from then on.
   *
   * @throws {RangeError} when the address or the namespace is none.
   * @throws {Error} when it cannot be listened on.
   */
  static async listen(options: HttpServerOptions): Promise<HttpServer> {
    const { host, port } = parseAddress(options.address);
    const http = new HttpServer(options, host);
    await http.#listen(host, port);
    return http;
  }

  async #listen(host: string, port: number): Promise<void> {
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) => {
        const isTaken = error.code === "EADDRINUSE";
        const reason = isTaken ? "another program is listening there" : error.message;
        const where = authority({ host, port });
        reject(new Error(`Cannot serve HTTP on ${where}: ${reason}`, { cause: error }));
      });
      server.listen(port, host, resolve);
    });
    server.removeAllListeners("error");
    server.on("error", (error) => this.#log.error("Error accepting HTTP connections", error));
    const bound = server.address() as AddressInfo;
    this.#url = `http://${authority({ host, port: bound.port })}/`;
    this.#log.info(`Serving ${this.#url}`);
    if (isLoopback(bound.address)) return;
    this.#log.warn(
      `${this.#url} is open to other machines: whoever reaches it can read, there is no authentication and no TLS`,
    );
  }

  /** Where the page is, with the port that is really used. */
  get url(): string {
    return this.#url;
  }

  #accept(socket: Socket, most: number): void {
    if (this.#sockets.size >= most) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    // Who breaks off in the middle of an answer is no concern of ours.
    response.on("error", () => {});
    const refusal = this.#guard.refusal(request);
    if (refusal !== null) {
      refuse(request, response, refusal.status, refusal.message);
      return;
    }
    const { pathname, searchParams } = new URL(`http://localhost${request.url}`);
    const file = this.#page.get(pathname);
    const handle = this.#routes.get(pathname);
    try {
      if (file !== undefined) send(request, response, 200, file.type, file.text);
      else if (handle !== undefined) handle(request, response, searchParams);
      else refuse(request, response, 404, `Not one of ${[...this.#routes.keys()].join(", ")}`);
    } catch (error) {
      this.#log.error(`Error answering ${pathname}`, error);
      refuse(request, response, 500, "The values could not be read, the log says why");
    }
  }

  #sendStatus(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    const text = this.#statusText(isAsked(query, "totals"), isAsked(query, "workers"));
    send(request, response, 200, JSON_TYPE, `${text}\n`);
  }

  #sendFields(request: IncomingMessage, response: ServerResponse): void {
    const text = this.#onceATurn("fields", () => exactJson(this.#monitors.map(fieldsOf)));
    send(request, response, 200, JSON_TYPE, `${text}\n`);
  }

  #sendMetrics(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    const format = preferredFormat(request.headers.accept);
    const byWorker = isAsked(query, "workers");
    const text = this.#onceATurn(`metrics ${format} ${byWorker}`, () =>
      this.#metrics.text(format, byWorker),
    );
    response.setHeader("vary", "Accept");
    send(request, response, 200, CONTENT_TYPES[format], text);
  }

  #sendEvents(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    const text = query.get("interval") ?? "1";
    const interval = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (!(interval >= SHORTEST_INTERVAL && interval <= LONGEST_INTERVAL)) {
      const expected = `${SHORTEST_INTERVAL} to ${LONGEST_INTERVAL} seconds`;
      refuse(request, response, 400, `interval must be ${expected}`);
      return;
    }
    // One that waits behind another answer would take a place, and has no end that is told of.
    if (response.socket === null) {
      refuse(request, response, 400, "Events need a connection with no other answer under way");
      return;
    }
    if (this.#feed.size >= this.#maxReaders) {
      response.setHeader("retry-after", "10");
      refuse(request, response, 503, `There are ${this.#maxReaders} readers of events already`);
      return;
    }
    response.writeHead(200, { ...HEADERS, "content-type": "text/event-stream" });
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    const [totals, byWorker] = [isAsked(query, "totals"), isAsked(query, "workers")];
    this.#feed.add(response, { intervalMs: interval * 1000, totals, byWorker });
  }

  #eventData({ totals, byWorker }: Subscription): string {
    return this.#onceATurn(`event ${totals} ${byWorker}`, () => {
      const time = new Date().toISOString();
      return `{"time":"${time}","status":${this.#statusText(totals, byWorker)}}`;
    });
  }

  #statusText(totals: boolean, byWorker: boolean): string {
    return this.#onceATurn(`status ${totals} ${byWorker}`, () => {
      const entries = this.#monitors.map((monitor) => monitor.statusText({ totals, byWorker }));
      return `[${entries.join(",")}]`;
    });
  }

  /** However many clients ask at once, they get the answer of one moment: it costs once. */
  #onceATurn(what: string, make: () => string): string {
    if (this.#texts.size === 0) setImmediate(() => this.#texts.clear());
    const known = this.#texts.get(what);
    if (known !== undefined) return known;
    const text = make();
    this.#texts.set(what, text);
    return text;
  }

  /** Ends all connections, and listens no more. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#feed.close();
      for (const socket of this.#sockets) socket.destroy();
    });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** `?totals`, `?totals=1` and `?totals=true`. */
function isAsked(query: URLSearchParams, name: string): boolean {
  return ["", "1", "true"].includes(query.get(name) ?? "0");
}

/** How fields are declared, by service and name. */
function fieldsOf(monitor: UtilizationMonitor): object {
  const services: Record<string, object> = Object.create(null);
  for (const [service, fields] of monitor.fields()) {
    const described: Record<string, object> = Object.create(null);
    for (const [name, field] of fields) {
      const { kind, aggregate, unit, help, counter, histogram, le } = field;
      described[name] = { kind, aggregate, unit, help, counter, histogram, le };
    }
    services[service] = described;
  }
  return services;
}
