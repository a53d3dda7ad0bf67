// What the command line of "run" says.

import { realpathSync } from "node:fs";
import { availableParallelism } from "node:os";
import { type Command, findCommand, serviceNameOf } from "../runner/command.ts";
import type { Restart } from "../runner/pool.ts";
import { type OptionValues, parseCount, parseDuration, UsageError } from "./arguments.ts";
import { HTTP_OPTIONS } from "./http.ts";
import type { PlaceOptions } from "./place.ts";
import { parseSharing, SHARING_OPTIONS, type Sharing } from "./sharing.ts";

const OWN_OPTIONS = {
  workers: { type: "string" },
  name: { type: "string" },
  cluster: { type: "boolean" },
  restart: { type: "string" },
  grace: { type: "string" },
  auto: { type: "boolean" },
  "no-auto": { type: "boolean" },
  raw: { type: "boolean" },
  json: { type: "boolean" },
  dir: { type: "string" },
  socket: { type: "string" },
  path: { type: "string" },
  keep: { type: "boolean" },
} as const;

export const RUN_OPTIONS: typeof OWN_OPTIONS & typeof HTTP_OPTIONS & typeof SHARING_OPTIONS = {
  ...OWN_OPTIONS,
  ...HTTP_OPTIONS,
  ...SHARING_OPTIONS,
};

const MOST_WORKERS = 4096;
const RESTARTS: readonly string[] = ["always", "on-failure", "never"] satisfies Restart[];

export interface RunSettings {
  readonly command: Command;
  /** What Node.js is given to run the script as a worker of `node:cluster`; null without. */
  readonly script: readonly string[] | null;
  /** Whether Node.js loads the automatic instrumentation. */
  readonly isAutomatic: boolean;
  readonly workers: number;
  /** The service. */
  readonly name: string;
  readonly restart: Restart;
  readonly graceMs: number;
  readonly isRaw: boolean;
  readonly isJson: boolean;
  /** Whether file and journal stay. */
  readonly isKept: boolean;
  readonly sharing: Sharing;
  readonly place: PlaceOptions;
}

/**
 * @throws {UsageError}
 * @throws {CommandError} when there is no such command.
 */
export function parseRun(
  values: OptionValues<typeof RUN_OPTIONS>,
  words: readonly string[],
): RunSettings {
  const { cluster = false, auto = false, "no-auto": noAuto = false } = values;
  const { raw = false, json = false, keep = false, dir, socket, path } = values;
  if (auto && noAuto) throw new UsageError("Cannot use --auto together with --no-auto");
  const restart = values.restart ?? "on-failure";
  if (!isRestart(restart)) {
    throw new UsageError(
      `Cannot use --restart "${restart}": one of ${RESTARTS.join(", ")} is expected`,
    );
  }
  const graceMs = parseDuration("grace", values.grace ?? "10s");
  const workers = parseWorkers(values.workers ?? (cluster ? "max" : "1"));
  const sharing = parseSharing(values);
  const [file, ...args] = words;
  if (file === undefined) {
    throw new UsageError("Cannot run nothing: utilization run [options] -- command [arguments]");
  }
  const command = findCommand(file, args);
  const script = cluster ? scriptToShare(command) : null;
  const { UTILIZATION_NAME } = process.env;
  return {
    command,
    script,
    isAutomatic: auto || (command.isNode && !noAuto),
    workers,
    name: values.name ?? (UTILIZATION_NAME || serviceNameOf(command, process.cwd())),
    restart,
    graceMs,
    isRaw: raw,
    isJson: json,
    isKept: keep,
    sharing,
    // Two services beside each other have two supervisors.
    place: { dir, socket, path, name: socket === undefined ? values.name : undefined },
  };
}

function isRestart(text: string): text is Restart {
  return RESTARTS.includes(text);
}

function parseWorkers(text: string): number {
  return text === "max" ? availableParallelism() : parseCount("workers", text, MOST_WORKERS);
}

function scriptToShare({ file, path, script }: Command): readonly string[] {
  if ("Deno" in globalThis) {
    throw new UsageError("Cannot use --cluster on Deno: its workers would not share a port");
  }
  if (script === null) {
    throw new UsageError(`Cannot use --cluster with "${file}": a script of Node.js is expected`);
  }
  const isOther =
    script[0] !== path &&
    file.includes("/") &&
    realpathSync(path) !== realpathSync(process.execPath);
  if (isOther) {
    throw new UsageError(
      `Cannot use --cluster with "${file}": workers run on the same Node.js as this command, "${process.execPath}"`,
    );
  }
  return script;
}
