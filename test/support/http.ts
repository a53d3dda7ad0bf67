import { connect, type Socket } from "node:net";
import { HttpServer, type HttpServerOptions } from "../../host/http/server.ts";
import type { Scene } from "./scene.ts";
import { until } from "./until.ts";

/** Serves the monitor of a scene on a free port; ends with the scene. */
export async function serveHttp(
  scene: Scene,
  options: Partial<HttpServerOptions> = {},
): Promise<HttpServer> {
  const { supervisor, monitor, log } = scene;
  const defaults = { supervisor, monitors: [monitor], address: "127.0.0.1:0", log };
  const http = await HttpServer.listen({ ...defaults, ...options });
  scene.atEnd(() => http.close());
  return http;
}

/** A connection on which anything can be written, and which reads only when it is told to. */
export class RawClient {
  readonly socket: Socket;
  text = "";
  closed = false;

  constructor(scene: Scene, http: HttpServer, request = "") {
    const { hostname, port } = new URL(http.url);
    this.socket = connect(Number(port), hostname);
    this.socket.setEncoding("utf8").on("data", (text: string) => {
      this.text += text;
    });
    this.socket.on("error", () => {});
    this.socket.once("close", () => {
      this.closed = true;
    });
    if (request !== "") this.socket.write(request);
    scene.atEnd(() => this.socket.destroy());
  }

  /** Waits until the server has ended the connection. */
  async end(): Promise<string> {
    await until(() => this.closed, `the connection is closed: ${this.text.slice(0, 500)}`);
    return this.text;
  }

  /** The first line of an answer. */
  get status(): string {
    return this.text.slice(0, this.text.indexOf("\r\n"));
  }

  /** The data of the events so far. */
  get events(): string[] {
    return [...this.text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data!);
  }
}

/** A request as text. */
export function get(path: string, ...headers: readonly string[]): string {
  return [`GET ${path} HTTP/1.1`, "Host: localhost", ...headers, "", ""].join("\r\n");
}
