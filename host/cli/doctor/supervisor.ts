// A supervisor that runs, and what it sees.

import { basename } from "node:path";
import { readJournal } from "../../journal_file.ts";
import type { JournalHeader } from "../../journal_header.ts";
import { pidNamespace } from "../../predecessor.ts";
import { VERSION } from "../../version.ts";
import { SupervisorClient } from "../supervisor_client.ts";
import { cut } from "../text_width.ts";
import { type Findings, word } from "./findings.ts";
import { fileBeside, type Place } from "./place.ts";

const PATIENCE_MS = 5000;
const MOST_NAMES = 12;
const LONGEST_NAME = 40;

/** The answer to `status_json`, as far as it is read here; from whoever listens on the socket. */
interface Status {
  readonly data?: Readonly<Record<string, { readonly worker_count?: unknown }>>;
  readonly stalled?: Readonly<Record<string, unknown>>;
  readonly workers?: readonly { readonly service?: unknown; readonly mapping?: unknown }[];
}

export interface Seen {
  /** Of the supervisor, where it has our process ids. */
  readonly processId: number | null;
  readonly workers: number;
}

/** What is seen of the supervisor; null where none runs. */
export async function checkSupervisor(findings: Findings, place: Place): Promise<Seen | null> {
  if (!place.isLive) {
    const message = `None listens on "${place.socket}": workers count by themselves until one does`;
    findings.warning("supervisor", message, startCommand(place));
    return null;
  }
  const header = headerOf(place.file);
  let processId: number | null = null;
  if (header !== null && header.namespace !== null && header.namespace === pidNamespace()) {
    processId = header.supervisor.pid;
  }
  let workers = 0;
  try {
    const client = await SupervisorClient.open(place.socket);
    try {
      await checkVersion(findings, client, processId);
      const text = await client.statusText({ totals: false, by_worker: true }, PATIENCE_MS);
      if (text === null) findings.warning("workers", "This supervisor cannot tell what it sees");
      else workers = checkWorkers(findings, JSON.parse(text) as Status[]);
      checkLimits(findings, await client.ask("limits_reached", PATIENCE_MS));
    } finally {
      client.close();
    }
  } catch (error) {
    const message = `It listens on "${place.socket}", but: ${(error as Error).message}`;
    findings.error("supervisor", message, "restart it: workers come back with all their counts");
  }
  checkNamespace(findings, header);
  return { processId, workers };
}

function startCommand({ folder, socket, file, isNamed }: Place): string {
  const name = basename(socket, ".ipc");
  if (isNamed && file === fileBeside(socket)) {
    const named = name === "default" ? "" : ` --name ${word(name)}`;
    return `utilization supervise --dir ${word(folder)}${named}`;
  }
  return `utilization supervise --socket ${word(socket)} --path ${word(file)}`;
}

function headerOf(file: string): JournalHeader | null {
  try {
    return readJournal(file)?.header ?? null;
  } catch {
    // The files are looked at by another check.
    return null;
  }
}

async function checkVersion(
  findings: Findings,
  client: SupervisorClient,
  processId: number | null,
): Promise<void> {
  const version = await client.ask("version", PATIENCE_MS);
  const process = processId === null ? "" : `, process ${processId}`;
  if (version === VERSION) {
    findings.ok("supervisor", `utilization-monitor ${VERSION}${process}`);
  } else {
    const name =
      version === null
        ? "of another make, or older"
        : `of version ${cut(String(version), LONGEST_NAME)}`;
    const message = `It is ${name}${process}; here is ${VERSION}`;
    findings.warning("supervisor", message, "the same version on both sides, if anything is amiss");
  }
}

function checkWorkers(findings: Findings, monitors: readonly Status[]): number {
  const services: string[] = [];
  const stuck: string[] = [];
  let [count, unmapped] = [0, 0];
  for (const { data = {}, stalled = {}, workers = [] } of monitors) {
    for (const [service, { worker_count: workerCount }] of Object.entries(data)) {
      count += Number(workerCount) || 0;
      services.push(`${service} ${Number(workerCount) || 0}`);
      if (Number(stalled[service]) > 0) stuck.push(`${Number(stalled[service])} of ${service}`);
    }
    unmapped += workers.filter(({ mapping }) => mapping === "none").length;
  }
  if (count === 0) {
    const fix = "start workers with UTILIZATION_SUPERVISOR, or as a user that may use the socket";
    findings.warning("workers", "None is registered", fix);
  } else {
    findings.ok("workers", listed(services));
  }
  if (stuck.length > 0) {
    const message = `Their event loop stands still: ${listed(stuck)}`;
    findings.warning("stalled", message, "utilization top shows which, and for how long");
  }
  if (unmapped > 0) {
    const message = `${unmapped} of ${count} workers write by file I/O: blocked ones stand still`;
    findings.warning("mapping", message, "utilization doctor with their runtime and environment");
  }
  return count;
}

function checkLimits(findings: Findings, answer: unknown): void {
  if (typeof answer !== "object" || answer === null) return;
  const reached = Object.entries(answer).filter(([, count]) => Number(count) > 0);
  if (reached.length === 0) return;
  const list = reached.map(([name, count]) => `${name} ${Number(count)} times`);
  findings.warning("limits", `Reached: ${listed(list)}`, "the supervisor's log says by whom");
}

/** What a stranger may have named, and as many as it likes. */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMES).map((name) => cut(name, LONGEST_NAME));
  const left = names.length - shown.length;
  return shown.join(", ") + (left > 0 ? ` and ${left} more` : "");
}

function checkNamespace(findings: Findings, header: JournalHeader | null): void {
  const own = pidNamespace();
  if (header === null || header.namespace === null || own === null) return;
  if (header.namespace === own) return;
  const message =
    "The supervisor has other process ids (a container): the segment of a worker that was killed is free after 60 s only, and file I/O hides its end";
  findings.warning("processes", message, "shareProcessNamespace: true, --pid=container:NAME, pid:");
}
