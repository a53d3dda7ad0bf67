// Which requests are answered at all. There is no authentication: what keeps web pages of others
// from reading along is that the browser tells where it believes to be, and where it comes from.

import type { IncomingMessage } from "node:http";
import { plainAddress } from "./address.ts";

/** A request that is not served, and why. */
export interface Refusal {
  readonly status: number;
  readonly message: string;
}

/** No path of ours, with any query that means something, is longer. */
const LONGEST_TARGET = 1024;

/** How this machine calls itself. */
const LOCAL_NAMES: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

export class Guard {
  readonly #names: ReadonlySet<string>;

  /** @param names hosts that clients may call us by, besides the local ones and our address. */
  constructor(names: Iterable<string>) {
    this.#names = new Set([...LOCAL_NAMES, ...names].map((name) => name.toLowerCase()));
  }

  /** Why a request is not served; null when it is. */
  refusal(request: IncomingMessage): Refusal | null {
    const { method, url = "", headers } = request;
    if (method !== "GET" && method !== "HEAD") {
      return { status: 405, message: "Only GET and HEAD are served" };
    }
    if (url.length > LONGEST_TARGET) {
      return { status: 414, message: `The path is longer than ${LONGEST_TARGET} characters` };
    }
    if (!url.startsWith("/")) return { status: 400, message: "The path must begin with a slash" };
    if (!this.#isOurs(headers.host, request)) {
      return {
        status: 403,
        message: "This Host is not served: ask for localhost, or start with --http-host NAME",
      };
    }
    if (headers["sec-fetch-site"] === "cross-site" && headers["sec-fetch-mode"] !== "navigate") {
      return { status: 403, message: "Pages of other sites are not served" };
    }
    return null;
  }

  /**
   * A name that an attacker owns can be made to resolve to this machine, and the browser then takes
   * us for the attacker's site (DNS rebinding). The port does not matter: it may be forwarded.
   */
  #isOurs(host: string | undefined, { socket }: IncomingMessage): boolean {
    const [, name] = /^(\[[^\]]+\]|[^:[\]]+)(?::\d+)?$/.exec(host?.toLowerCase() ?? "") ?? [];
    if (name === undefined) return false;
    if (this.#names.has(name)) return true;
    const bound = plainAddress(socket.localAddress);
    return name === bound || name === `[${bound}]`;
  }
}
