// Where the server listens, as people write it and as URLs do.

import { isIPv6 } from "node:net";

/** The port that OpenTelemetry's exporter for Prometheus has, too. */
export const DEFAULT_PORT = 9464;

const LOOPBACK = "127.0.0.1";

export interface Address {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * `127.0.0.1:9464`, `[::1]:9464`, `localhost:9464`; `:9464` and `9464` are on loopback, and a host
 * alone gets the default port.
 *
 * @throws {RangeError} for anything else.
 */
export function parseAddress(text: string): Address {
  const match = /^(?:(\d+)|(?:\[([\da-f:.]+)\]|([a-z\d][a-z\d.-]*))?(?::(\d+))?)$/i.exec(text);
  const [, bare, bracketed, name, digits] = match ?? [];
  const port = Number(bare ?? digits ?? DEFAULT_PORT);
  const isHost = bracketed === undefined || isIPv6(bracketed);
  if (match === null || text === "" || !isHost || port > 65_535) {
    throw new RangeError(
      `Cannot listen on "${text}": 127.0.0.1:${DEFAULT_PORT}, [::1]:${DEFAULT_PORT}, or a port alone is expected`,
    );
  }
  return { host: bracketed ?? name ?? LOOPBACK, port };
}

/** As it stands in a URL. */
export function authority({ host, port }: Address): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only this machine can reach it. */
export function isLoopback(address: string): boolean {
  return /^(127\.|::1$|::ffff:127\.)/.test(address);
}

/** The address of a socket as a client would write it in a URL: `::ffff:10.0.0.1` is `10.0.0.1`. */
export function plainAddress(address: string | undefined): string {
  return (address ?? "").replace(/^::ffff:(?=\d+\.)/, "");
}
