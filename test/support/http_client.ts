import { once } from "node:events";
import {
  Agent,
  type ClientRequest,
  get,
  type IncomingMessage,
  type RequestOptions,
} from "node:http";
import { connect, type Socket } from "node:net";

/** Sends one request and reads the answer. Without an agent the connection is closed behind it. */
export async function fetchText(
  port: number,
  path = "/",
  options: RequestOptions = {},
): Promise<string> {
  const request = get({ port, path, host: "127.0.0.1", agent: false, ...options });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  let text = "";
  for await (const piece of response.setEncoding("utf8")) text += piece;
  return text;
}

/** A request that is not answered: whoever destroys it aborts it. */
export function startRequest(port: number, path: string): ClientRequest {
  return get({ port, path, host: "127.0.0.1", agent: false }).on("error", () => {});
}

/** An agent that keeps one connection open. */
export function oneConnection(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 });
}

/** A connection on which anything can be written. */
export async function connectTo(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}
