// Where the doctor looks.

import { dirname, resolve } from "node:path";
import { SUPERVISOR_VARIABLE } from "../../directory.ts";
import { type PlaceOptions, placeToAsk } from "../place.ts";

/**
 * Whether somebody listens on a socket: unreachable is one that we may not connect to, elsewhere one
 * that listens on another socket, and owns the file.
 */
export type Answer = "live" | "stale" | "absent" | "unreachable" | "elsewhere";

export interface Place {
  readonly folder: string;
  readonly socket: string;
  readonly file: string;
  /** By which option or variable, for people. */
  readonly origin: string;
  /** Whether a supervisor would make the folder, and be as strict about it. */
  readonly isNamed: boolean;
  /** Whether a supervisor listens on the socket, or may do so where we cannot connect. */
  readonly isLive: boolean;
}

/** The place of a supervisor, whether it runs or not. @throws {UsageError} */
export function placeToExamine(options: PlaceOptions): Omit<Place, "isLive"> {
  const socket = placeToAsk({ ...options, path: undefined });
  const folder = dirname(socket);
  const { path, socket: told } = options;
  const origin = originOf(options);
  return {
    folder,
    socket,
    file: path === undefined ? fileBeside(socket) : resolve(path),
    origin: `by ${origin}`,
    isNamed: told === undefined && origin !== SUPERVISOR_VARIABLE,
  };
}

/** Where a supervisor that listens on a socket has its file, unless it is told another place. */
export function fileBeside(socket: string): string {
  return `${socket.replace(/\.ipc$/, "")}.shm`;
}

/** What says where. Variables are read only where no option does: Deno would ask for them. */
function originOf({ dir, name, socket }: PlaceOptions): string {
  if (socket !== undefined) return "--socket";
  if (dir !== undefined) return "--dir";
  const folders = ["UTILIZATION_DIR", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"];
  const variables = name === undefined ? [SUPERVISOR_VARIABLE, ...folders] : folders;
  return variables.find((variable) => process.env[variable]) ?? "default";
}
