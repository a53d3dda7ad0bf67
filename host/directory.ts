// The one folder in which supervisors and workers of a machine find each other.

import { lstatSync, mkdirSync, type Stats, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

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
  makeOne(resolve(directory));
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

/** One by one: in one go, Node.js 26 takes a read-only file system for a missing folder. */
function makeOne(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // It is there, or made by somebody else meanwhile: it is looked at later.
    if (code === "EEXIST") return;
    if (code !== "ENOENT" || dirname(path) === path) throw cannot("create folder", path, error);
    makeOne(dirname(path));
    makeOne(path);
  }
}

/**
 * An error of the system as one that says what was to be done, where, and what is in the way: the
 * folder, the owner of what is there, the file system. Other errors stay as they are.
 */
export function cannot(action: string, path: string, error: unknown): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return error;
  const message = `Cannot ${action} "${path}": ${whyNot(error as NodeJS.ErrnoException, path)}`;
  return Object.assign(new Error(message, { cause: error }), { code });
}

function whyNot({ code, message }: NodeJS.ErrnoException, path: string): string {
  const folder = dirname(path);
  const user = process.geteuid?.();
  let status: Stats;
  try {
    status = statSync(folder);
  } catch (error) {
    const { code: reason } = error as NodeJS.ErrnoException;
    if (reason === "ENOENT") return `folder "${folder}" does not exist`;
    if (reason === "ENOTDIR") return `"${folder}" is not a folder`;
    return `user ${user} cannot reach folder "${folder}" (${reason})`;
  }
  if (!status.isDirectory()) return `"${folder}" is not a folder`;
  if (code === "EISDIR") return "a folder is in its place";
  if (code === "EROFS") return `folder "${folder}" is on a read-only file system`;
  if (code === "ENOSPC" || code === "EDQUOT") return `the file system of "${folder}" is full`;
  if (code !== "EACCES" && code !== "EPERM") return message;
  // Only root, the owner of a sticky folder, and that of a file in it can replace the file.
  const isSticky = (status.mode & 0o1000) !== 0;
  const owner = lstatSync(path, { throwIfNoEntry: false })?.uid;
  if (isSticky && owner !== undefined && owner !== user) {
    return `it belongs to user ${owner}, who alone may replace it in folder "${folder}"`;
  }
  const mode = (status.mode & 0o7777).toString(8).padStart(4, "0");
  return `user ${user} may not write to folder "${folder}" (of user ${status.uid}, mode ${mode})`;
}

/** What is in the place of a path, in words. */
export function kindOf(status: Stats): string {
  if (status.isSymbolicLink()) return "a symbolic link";
  if (status.isDirectory()) return "a folder";
  if (status.isSocket()) return "a socket";
  return status.isFile() ? "a file" : "a device or pipe";
}
