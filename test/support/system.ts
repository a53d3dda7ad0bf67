// What only root may do to a system: mount file systems, make namespaces, be another user.
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { fixturePath } from "./child.ts";
import { isDeno, type Runtime } from "./runtime.ts";
import type { Scene } from "./scene.ts";

/** Runs a command to its end, and throws when it fails. */
export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function works(command: string, ...args: string[]): boolean {
  try {
    run(command, ...args);
    return true;
  } catch {
    return false;
  }
}

const isRoot = process.platform === "linux" && process.getuid?.() === 0;

/** Why tests that mount file systems are skipped. */
export const unmountable: string | false =
  !(isRoot && works("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt")) &&
  "only root of a whole Linux may mount file systems";

/** Why tests with containers are skipped. */
export const uncontainable: string | false =
  unmountable ||
  (isDeno && "Deno starts children by itself") ||
  (!works("unshare", "--pid", "--fork", "--mount-proc", "true") && "there are no pid namespaces");

/** Why tests with processes of other users are skipped. */
export const singleUser: string | false =
  (!(
    isRoot && works("setpriv", "--reuid", "12345", "--clear-groups", process.execPath, "--version")
  ) &&
    "only root may start processes of other users, if they may run this program") ||
  (isDeno && "Deno starts children by itself");

/** Mounts a file system in memory at a new folder of the scene. */
export function mountMemory(scene: Scene, name: string, options = "size=1m"): string {
  const folder = scene.path(name);
  mkdirSync(folder);
  run("mount", "-t", "tmpfs", "-o", `${options},mode=0755`, "none", folder);
  scene.atEnd(() => run("umount", "--lazy", folder));
  return folder;
}

/** For {@link Scene.child}: a process that is started by another program. */
function startedBy(command: string, ...args: string[]): Runtime {
  return {
    options: { execPath: command, execArgv: [...args, process.execPath] },
    fixturePath,
  };
}

/** Processes that see other mounts, which the script makes. */
export function withMounts(script: string): Runtime {
  return startedBy("unshare", "--mount", "sh", "-c", `set -e; ${script}; exec "$@"`, "sh");
}

/** The same, with pids of their own: the first process of each has pid 1. */
export function contained(script: string): Runtime {
  const namespaces = ["--pid", "--fork", "--kill-child", "--mount", "--mount-proc"];
  return startedBy("unshare", ...namespaces, "sh", "-c", `set -e; ${script}; exec "$@"`, "sh");
}

/** Processes of a user with a group of the same id, and perhaps further groups. */
export function ofUser(id: number, ...groups: number[]): Runtime {
  const list = groups.length > 0 ? [`--groups=${groups.join(",")}`] : ["--clear-groups"];
  return startedBy("setpriv", `--reuid=${id}`, `--regid=${id}`, ...list);
}

/** A new folder of the scene with exactly this mode, that every user can reach. */
export function openFolder(scene: Scene, name: string, mode: number): string {
  const folder = scene.path(name);
  chmodSync(scene.folder, 0o711);
  mkdirSync(folder);
  chmodSync(folder, mode);
  return folder;
}
