// Who this process is: which service it belongs to, and whether it is a service at all.

import { readFileSync, realpathSync } from "node:fs";
import { basename, dirname, extname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { PROGRAMS } from "../programs.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** PM2 starts this in the place of the application's script. */
const PM2_CONTAINER = /[\\/]pm2[\\/]lib[\\/]ProcessContainer\w*\.js$/;
/** Also where they are not in a `node_modules`: in the cache of corepack, in `.yarn/releases`. */
const PACKAGE_MANAGER = /^(npm|npx|yarn|yarnpkg|pnpm|pnpx|corepack)(-cli)?(-\d.*)?(\.[cm]?js)?$/;
const OWN_PROGRAMS = fileURLToPath(PROGRAMS);

/**
 * - `"service"`: an application.
 * - `"tool"`: the program of a package (`tsx`, `eslint`, `next`), or no script at all. It may serve.
 * - `"none"`: one of our own.
 */
export type ProcessKind = "service" | "tool" | "none";

/**
 * The environment as the application will have it: in PM2's cluster mode most of it comes as one
 * variable, which is unpacked only when we have been loaded.
 */
export function ownEnvironment(environment: Environment = process.env): Environment {
  try {
    return { ...environment, ...JSON.parse(environment.pm2_env ?? "{}") };
  } catch {
    return environment;
  }
}

/** Then the first argument is one of the code, or names standard input. */
const WITHOUT_SCRIPT = /^(-e|-p|-pe|--eval|--print)(=|$)/;

/** The main script of this process, as far as there is one. */
export function mainScript(
  argument: string | undefined,
  environment: Environment,
  execArgv: readonly string[] = process.execArgv,
): string | null {
  if (argument === "-" || execArgv.some((option) => WITHOUT_SCRIPT.test(option))) return null;
  const isContainer = argument !== undefined && PM2_CONTAINER.test(argument);
  const script = (isContainer && environment.pm_exec_path) || argument;
  if (!script) return null;
  try {
    return realpathSync(script);
  } catch {
    // Without its extension, or one that was there when it was loaded.
    return script;
  }
}

export function kindOf(script: string | null): ProcessKind {
  if (script === null) return "tool";
  if (script.startsWith(OWN_PROGRAMS)) return "none";
  const isOfPackage = script.split(sep).includes("node_modules");
  return isOfPackage || PACKAGE_MANAGER.test(basename(script)) ? "tool" : "service";
}

/**
 * `UTILIZATION_NAME`, the name that PM2 knows the application by, that in the nearest package.json
 * which has one, or that of the script.
 */
export function serviceName(script: string | null, environment: Environment): string {
  const { UTILIZATION_NAME, pm_id, name } = environment;
  if (UTILIZATION_NAME) return UTILIZATION_NAME;
  if (pm_id !== undefined && name) return name;
  if (script === null) return "node";
  return packageName(dirname(script)) ?? basename(script, extname(script));
}

function packageName(folder: string): string | null {
  try {
    const { name } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    if (typeof name === "string" && name !== "") return name;
  } catch {
    // There is none, or it is not one: the next one counts.
  }
  const above = dirname(folder);
  return above === folder ? null : packageName(above);
}
