// `--http` and `--http-host`, for the commands that have them. The server is loaded only for them.

import type { HttpServer } from "../http/server.ts";
import { stderrLogger } from "../log.ts";
import type { Supervisor } from "../supervisor.ts";
import type { UtilizationMonitor } from "../utilization_monitor.ts";
import { UsageError } from "./arguments.ts";

/** What the command line says about it; null without `--http`. */
export type HttpOptions = { readonly address: string; readonly hosts: readonly string[] } | null;

/** Checks the options, before anything is touched. @throws {UsageError} */
export async function httpOptions(values: {
  readonly http?: string;
  readonly "http-host"?: string;
}): Promise<HttpOptions> {
  const { http: address, "http-host": names } = values;
  if (address === undefined) {
    if (names !== undefined) throw new UsageError("Cannot use --http-host without --http");
    return null;
  }
  const { parseAddress } = await import("../http/address.ts");
  try {
    parseAddress(address);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const hosts = (names ?? "").split(",").map((name) => name.trim());
  return { address, hosts: hosts.filter((name) => name !== "") };
}

/** The server, if one is wanted. */
export async function serveHttp(
  options: HttpOptions,
  supervisor: Supervisor,
  monitors: readonly UtilizationMonitor[],
): Promise<HttpServer | null> {
  if (options === null) return null;
  const { HttpServer } = await import("../http/server.ts");
  return await HttpServer.listen({ ...options, supervisor, monitors, log: stderrLogger });
}
