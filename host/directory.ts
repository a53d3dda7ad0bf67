// The one folder in which supervisors and workers of a machine find each other.

import { lstatSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** The variable that tells a worker the socket of its supervisor. */
export const SUPERVISOR_VARIABLE = "UTILIZATION_SUPERVISOR";

/**
 * The default folder: `UTILIZATION_DIR`, `RUNTIME_DIRECTORY` (set by systemd), `utilization` in
 * `XDG_RUNTIME_DIR`, or a folder of this user in the temporary one.
 */
export function defaultDirectory(environment: Environment = process.env): string {
  const { UTILIZATION_DIR, RUNTIME_DIRECTORY, XDG_RUNTIME_DIR } = environment;
  if (UTILIZATION_DIR) return UTILIZATION_DIR;
  // systemd separates several of them by colons.
  const runtimeDirectory = RUNTIME_DIRECTORY?.split(":")[0];
  if (runtimeDirectory) return runtimeDirectory;
  if (XDG_RUNTIME_DIR) return join(XDG_RUNTIME_DIR, "utilization");
  return join(tmpdir(), `utilization-${process.getuid?.() ?? "user"}`);
}

/** The files of a supervisor called `name`. */
export function pathsIn(directory: string, name: string): { socket: string; file: string } {
  if (name === "" || name.includes("/") || name.startsWith(".")) {
    throw new RangeError(
      `Cannot use name "${name}": must be a file name that does not start with a dot`,
    );
  }
  return { socket: join(directory, `${name}.ipc`), file: join(directory, `${name}.shm`) };
}

/** Where a worker looks for its supervisor when nothing else is said. */
export function defaultSocket(environment: Environment = process.env): string {
  return (
    environment[SUPERVISOR_VARIABLE] || pathsIn(defaultDirectory(environment), "default").socket
  );
}

/**
 * Creates the folder for this user alone, if it is not there.
 *
 * @throws {Error} when it is there, but of another user or open for others to write: they could
 * put their own files in place of ours.
 */
export function makeDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const status = lstatSync(directory);
  const user = process.getuid?.();
  if (!status.isDirectory()) {
    throw new Error(`Cannot use folder "${directory}": it is not a folder`);
  }
  if (user !== undefined && status.uid !== user && status.uid !== 0) {
    throw new Error(
      `Cannot use folder "${directory}": it belongs to user ${status.uid}, not to ${user}`,
    );
  }
  const isOpen = (status.mode & 0o002) !== 0 && (status.mode & 0o1000) === 0;
  if (isOpen) throw new Error(`Cannot use folder "${directory}": everybody may write to it`);
}
