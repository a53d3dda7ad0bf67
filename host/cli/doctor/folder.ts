// The folder of socket and file: whose it is, who may write to it, and what it is on.

import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  type Stats,
  statfsSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { kindOf } from "../../directory.ts";
import { isAllowed } from "../../libc.ts";
import { LONGEST_SOCKET_PATH } from "../../unix_socket.ts";
import { type Findings, modeText, sizeText, word } from "./findings.ts";
import { mountOf } from "./mounts.ts";
import type { Place } from "./place.ts";

/** A first file of 32 KiB and its journal want as much. */
const LEAST_ROOM = 64 * 1024;
/** Below this a few thousand workers fill it. */
const LITTLE_ROOM = 4 * 1024 * 1024;

const IN_MEMORY: ReadonlySet<string> = new Set(["tmpfs", "ramfs", "devtmpfs", "hugetlbfs"]);
/** Their mappings are not shared between machines, and some do not know sockets. */
const REMOTE = /^(nfs\d?|cifs|smb\d?|9p|ceph|glusterfs|lustre|afs|fuse\..*|fuse|virtiofs|vboxsf)$/;

export async function checkFolder(findings: Findings, place: Place): Promise<void> {
  await findings.look("path", () => checkPaths(findings, place));
  await findings.look("folder", () => checkOwner(findings, place));
  if (!existsSync(place.folder)) return;
  await findings.look("file system", () => checkFileSystem(findings, place));
  await findings.look("room", () => checkRoom(findings, place));
}

/** A shared file is owned by whoever listens on a socket beside it. */
function checkPaths(findings: Findings, { socket, file }: Place): void {
  const [longest, length] = [socket, `${file}.lock`]
    .map((path) => [path, Buffer.byteLength(path)] as const)
    .reduce((one, other) => (other[1] > one[1] ? other : one));
  if (length <= LONGEST_SOCKET_PATH) {
    findings.ok("path", `${length} of ${LONGEST_SOCKET_PATH} bytes that a socket's path can have`);
    return;
  }
  const message = `"${longest}" is ${length} bytes long, a socket's path can have ${LONGEST_SOCKET_PATH}`;
  findings.error("path", message, "UTILIZATION_DIR=… or --dir with a shorter path, as in /run");
}

function checkOwner(findings: Findings, place: Place): void {
  const { folder, isNamed, isLive, origin } = place;
  let found: Stats | undefined;
  try {
    found = lstatSync(folder, { throwIfNoEntry: false });
  } catch (error) {
    const message = `"${folder}" cannot be reached: ${(error as NodeJS.ErrnoException).code}`;
    findings.error("folder", message, "another one with --dir or UTILIZATION_DIR");
    return;
  }
  if (found === undefined) {
    checkParent(findings, place);
    return;
  }
  const name = word(folder);
  if (found.isSymbolicLink() && isNamed) {
    const message = `"${folder}" is a symbolic link, which a supervisor refuses`;
    findings.error("folder", message, "name the folder that it leads to");
    return;
  }
  const status = statSync(folder);
  if (!status.isDirectory()) {
    const message = `"${folder}" is no folder, it is ${kindOf(found)}`;
    findings.error("folder", message, `name another one with --dir, or remove it`);
    return;
  }
  const user = process.geteuid?.() ?? status.uid;
  const { uid, mode } = status;
  const message = `"${folder}" of user ${uid}, mode ${modeText(mode)}`;
  if ((mode & 0o002) !== 0 && (mode & 0o1000) === 0) {
    findings.error(
      "folder",
      `${message}: everybody may replace what is in it`,
      `chmod 0700 ${name}`,
    );
  } else if (uid !== user && uid !== 0 && isLive) {
    const reason = `${message}: a worker obeys a supervisor of its own user ${user} or of root`;
    findings.warning("folder", reason, `connect({ owners: [${uid}] }) in workers of user ${user}`);
  } else if (uid !== user && uid !== 0 && isNamed) {
    const reason = `${message}: user ${user} cannot supervise there`;
    findings.error("folder", reason, `a folder of user ${user}: --dir or UTILIZATION_DIR`);
  } else if (!isLive && !mayWrite(folder)) {
    const reason = `${message}: user ${user} may not write to it`;
    findings.error("folder", reason, `a folder of user ${user}: --dir or UTILIZATION_DIR`);
  } else {
    findings.ok("folder", `${message}, ${origin}`);
  }
}

/** Supervisors make their folder, and those above it. */
function checkParent(findings: Findings, { folder, origin, isNamed }: Place): void {
  let parent = dirname(folder);
  while (!existsSync(parent)) parent = dirname(parent);
  if (!isNamed) {
    findings.error("folder", `"${folder}" does not exist`, `mkdir -m 0700 -p ${word(folder)}`);
  } else if (mayWrite(parent)) {
    findings.ok("folder", `"${folder}" does not exist yet, a supervisor makes it, ${origin}`);
  } else {
    const user = process.geteuid?.();
    const message = `"${folder}" does not exist, and user ${user} cannot make it in "${parent}"`;
    findings.error("folder", message, "RuntimeDirectory= of systemd, or another UTILIZATION_DIR");
  }
}

function mayWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function checkFileSystem(findings: Findings, { folder }: Place): void {
  const mount = mountOf(folder);
  if (mount === null) {
    findings.ok("file system", "not told by this system");
    return;
  }
  const { type, point, root } = mount;
  if (REMOTE.test(type)) {
    const message = `${type} at "${point}": what is mapped on it is not shared, or not at once`;
    findings.error("file system", message, "UTILIZATION_DIR=… on a file system of this machine");
  } else if (root.includes("/systemd-private-")) {
    const message = `"${point}" is private to this service (PrivateTmp=yes): nobody else sees it`;
    findings.error("file system", message, "RuntimeDirectory=utilization in the unit");
  } else if (type === "overlay" || type === "aufs") {
    const message = `${type} at "${point}": other containers do not see it`;
    findings.warning("file system", message, "a volume, best one in memory, for this folder");
  } else if (IN_MEMORY.has(type)) {
    findings.ok("file system", `${type} at "${point}", in memory`);
  } else {
    const message = `${type} at "${point}", on a disk: workers pay about 20 µs for the first store after each write-back`;
    findings.warning("file system", message, "a folder in memory: UTILIZATION_DIR=/dev/shm/…");
  }
}

function checkRoom(findings: Findings, { folder }: Place): void {
  if (!isAllowed({ name: "sys", kind: "statfs" })) {
    findings.ok("room", "not told by Deno without --allow-sys=statfs");
    return;
  }
  const { bavail, bsize, files, ffree } = statfsSync(folder);
  const room = bavail * bsize;
  const message = `${sizeText(room)} free`;
  if (files > 0 && ffree === 0) {
    findings.error("room", "No inode is free", `make room on the file system of ${word(folder)}`);
  } else if (room < LEAST_ROOM) {
    const reason = `${message}: too little for a file, registrations are refused`;
    findings.error("room", reason, `make room on the file system of ${word(folder)}`);
  } else if (room < LITTLE_ROOM) {
    const workers = Math.floor(room / 512);
    const reason = `${message}: enough for ${workers} workers of 512 bytes`;
    findings.warning("room", reason, `--shm-size, size= or sizeLimit of the file system`);
  } else {
    findings.ok("room", message);
  }
}
