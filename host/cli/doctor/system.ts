// Limits of the system, and how much of it can be seen.

import { existsSync, readdirSync } from "node:fs";
import { isAllowed } from "../../libc.ts";
import { bootId } from "../../predecessor.ts";
import { readProc } from "../../proc.ts";
import type { Findings } from "./findings.ts";
import { readMounts } from "./mounts.ts";
import type { Seen } from "./supervisor.ts";

/** What a supervisor needs besides the one descriptor of each worker. */
const OWN_DESCRIPTORS = 64;
const FEW_DESCRIPTORS = 512;
const FEW_PROCESSES = 128;

/** What containers of each kind have. */
const CONTAINERS = [
  ["/.dockerenv", "Docker"],
  ["/run/.containerenv", "Podman"],
  ["/var/run/secrets/kubernetes.io", "Kubernetes"],
] as const;

export async function checkSystem(findings: Findings, seen: Seen | null): Promise<void> {
  await findings.look("descriptors", () => checkDescriptors(findings, seen));
  await findings.look("processes", () => checkProcesses(findings));
  await findings.look("visibility", () => checkVisibility(findings));
  await findings.look("container", () => checkContainer(findings));
}

/** Of the supervisor if it can be seen, else of what is started here. */
function checkDescriptors(findings: Findings, seen: Seen | null): void {
  const id = seen?.processId ?? null;
  const whose = id === null ? "self" : String(id);
  const limit = limitOf(whose, "Max open files") ?? limitOf("self", "Max open files");
  if (limit === null) return;
  const used = id === null ? null : openDescriptors(id);
  const workers = seen?.workers ?? 0;
  const message =
    used === null
      ? `${text(limit)} for a process; a supervisor needs one for each worker`
      : `${used} of ${text(limit)} are in use by the supervisor`;
  const needed = Math.max(FEW_DESCRIPTORS, Math.ceil(workers * 1.25) + OWN_DESCRIPTORS);
  const fix = "LimitNOFILE=16384 in the unit, or ulimit -n 16384";
  if (used !== null && used > 0.9 * limit) findings.error("descriptors", message, fix);
  else if (limit < needed) findings.warning("descriptors", message, fix);
  else findings.ok("descriptors", message);
}

function checkProcesses(findings: Findings): void {
  const limit = limitOf("self", "Max processes");
  if (limit === null) return;
  const message = `${text(limit)} processes and threads for this user; a worker has about 11`;
  if (limit >= FEW_PROCESSES) findings.ok("processes", message);
  else findings.warning("processes", message, "LimitNPROC= in the unit, or ulimit -u");
}

/** A worker that cannot be seen is given up after a lease, in place of at once. */
function checkVisibility(findings: Findings): void {
  try {
    readProc("/proc/self/stat");
  } catch (error) {
    const { message } = error as Error;
    const fix = "Deno" in globalThis ? "deno run --allow-ffi" : "mount /proc";
    findings.warning("visibility", `Processes cannot be seen: ${message}`, fix);
    return;
  }
  if (bootId() === null) {
    const message = "The id of this start of the machine is hidden: each supervisor begins anew";
    findings.warning("visibility", message, "leave out ProcSubset=pid: /proc/sys must be there");
  }
  const options = readMounts()
    .filter(({ point }) => point === "/proc")
    .flatMap(({ options }) => options);
  const hiding = options.find((option) => /^hidepid=(?!0$|off$)/.test(option));
  // From root, and from those of one group, by default root's, nothing is hidden.
  const seers = options.find((option) => option.startsWith("gid="))?.slice("gid=".length) ?? "0";
  if (hiding === undefined || process.geteuid?.() === 0 || groups().includes(seers)) {
    findings.ok("visibility", "processes of all users can be seen");
    return;
  }
  const message = `/proc hides processes of other users (${hiding}): their segments are free after 60 s only`;
  findings.warning("visibility", message, "supervisor and workers of one user, or gid= of /proc");
}

function groups(): string[] {
  const lines = readProc("/proc/self/status").matchAll(/^G(?:id|roups):(.*)$/gm);
  return [...lines].flatMap(([, ids]) => ids!.trim().split(/\s+/));
}

function checkContainer(findings: Findings): void {
  const hints: string[] = CONTAINERS.filter(([path]) => isThere(path)).map(([, name]) => name);
  if (process.pid === 1) hints.push("this is process 1");
  if (hints.length === 0) return;
  const message = `In one (${hints.join(", ")}): workers of others need this folder, mounted in theirs`;
  findings.ok("container", message);
}

function isThere(path: string): boolean {
  return isAllowed({ name: "read", path }) && existsSync(path);
}

/** The soft limit of a process, `Infinity` for none; null where it cannot be told. */
function limitOf(processId: string, name: string): number | null {
  let limits: string;
  try {
    limits = readProc(`/proc/${processId}/limits`);
  } catch {
    return null;
  }
  const found = new RegExp(`^${name} +(\\S+)`, "m").exec(limits)?.[1];
  if (found === undefined) return null;
  return found === "unlimited" ? Number.POSITIVE_INFINITY : Number(found);
}

function openDescriptors(processId: number): number | null {
  const path = `/proc/${processId}/fd`;
  try {
    return isAllowed({ name: "read", path }) ? readdirSync(path).length : null;
  } catch {
    return null;
  }
}

function text(limit: number): string {
  return Number.isFinite(limit) ? String(limit) : "any number of";
}
