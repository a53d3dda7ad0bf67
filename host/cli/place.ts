// Where a supervisor is: by name and folder, or by paths.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { defaultDirectory, defaultSocket, makeDirectory, pathsIn } from "../directory.ts";
import { UsageError } from "./arguments.ts";

/** What the command line says about it. */
export interface PlaceOptions {
  readonly name?: string | undefined;
  readonly dir?: string | undefined;
  readonly socket?: string | undefined;
  readonly path?: string | undefined;
}

/** Socket and shared file of a new supervisor; the folder is made where that is ours to do. */
export function placeToSupervise(options: PlaceOptions): { socket: string; file: string } {
  const { socket, path } = options;
  if (socket === undefined && path === undefined) {
    const { directory, paths } = named(options);
    makeDirectory(directory);
    return paths;
  }
  if (socket === undefined) throw new UsageError("Cannot use --path without --socket");
  if (path === undefined) throw new UsageError("Cannot use --socket without --path");
  refuseName(options);
  return { socket: resolve(socket), file: resolve(path) };
}

/** The socket of a supervisor that runs: without options the one that a worker would find. */
export function placeToAsk(options: PlaceOptions): string {
  const { socket, name, dir } = options;
  if (socket === undefined) {
    if (name === undefined && dir === undefined) return resolve(defaultSocket());
    return named(options).paths.socket;
  }
  refuseName(options);
  return resolve(socket);
}

function named({ dir, name = "default" }: PlaceOptions): {
  directory: string;
  paths: { socket: string; file: string };
} {
  const directory = resolve(dir ?? defaultDirectory());
  try {
    return { directory, paths: pathsIn(directory, name) };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function refuseName({ name, dir }: PlaceOptions): void {
  if (name !== undefined) throw new UsageError("Cannot use --name together with --socket");
  if (dir !== undefined) throw new UsageError("Cannot use --dir together with --socket");
}

/** The id of a group, given by number or by name. @throws {UsageError} when it is not known. */
export function groupIdOf(group: string, groupsFile = "/etc/group"): number {
  if (/^\d{1,9}$/.test(group)) return Number(group);
  let groups = "";
  try {
    groups = readFileSync(groupsFile, "utf8");
  } catch {
    // Then no name is known.
  }
  for (const line of groups.split("\n")) {
    const [name, , id] = line.split(":");
    if (name === group && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  throw new UsageError(
    `Cannot use --group "${group}": not in ${groupsFile}, a number would do as well`,
  );
}
