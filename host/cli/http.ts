// `--http` and what goes with it, for the commands that have them. The server is loaded only for them.

import type { HttpServer, HttpServerOptions } from "../http/server.ts";
import { stderrLogger } from "../log.ts";
import type { Supervisor } from "../supervisor.ts";
import type { UtilizationMonitor } from "../utilization_monitor.ts";
import { type OptionValues, UsageError } from "./arguments.ts";

/** What the command line says about it; null without `--http`. */
export type HttpOptions = Pick<HttpServerOptions, "address" | "hosts" | "namespace"> | null;

export const HTTP_OPTIONS = {
  http: { type: "string" },
  "http-host": { type: "string" },
  "metrics-namespace": { type: "string", mayBeEmpty: true },
} as const;

/** Checks the options, before anything is touched. @throws {UsageError} */
export async function httpOptions(values: OptionValues<typeof HTTP_OPTIONS>): Promise<HttpOptions> {
  const { http: address, "http-host": names, "metrics-namespace": namespace } = values;
  if (address === undefined) {
    const [alone] = Object.keys(HTTP_OPTIONS).filter((name) => name in values);
    if (alone !== undefined) throw new UsageError(`Cannot use --${alone} without --http`);
    return null;
  }
  const { parseAddress } = await import("../http/address.ts");
  const { checkNamespace } = await import("../exposition/names.ts");
  try {
    parseAddress(address);
    if (namespace !== undefined) checkNamespace(namespace);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const hosts = (names ?? "").split(",").map((name) => name.trim());
  return { address, hosts: hosts.filter((name) => name !== ""), namespace };
}

/** The server, if one is wanted. */
export async function serveHttp(
  options: HttpOptions,
  supervisor: Supervisor,
  monitors: readonly UtilizationMonitor[],
  restarts?: HttpServerOptions["restarts"],
): Promise<HttpServer | null> {
  if (options === null) return null;
  const { HttpServer } = await import("../http/server.ts");
  return await HttpServer.listen({ ...options, supervisor, monitors, restarts, log: stderrLogger });
}
