// What is in the folder: the socket, the file and its journal.

import { accessSync, constants, lstatSync, type Stats } from "node:fs";
import { join } from "node:path";
import { kindOf } from "../../directory.ts";
import { journalPath } from "../../journal.ts";
import { JournalError, readJournal } from "../../journal_file.ts";
import { bootId } from "../../predecessor.ts";
import { readProc } from "../../proc.ts";
import { answers, LONGEST_SOCKET_PATH } from "../../unix_socket.ts";
import { type Findings, modeText, sizeText, word } from "./findings.ts";
import { type Answer, fileBeside, type Place } from "./place.ts";

/** Who may go on with what this user may not. */
const AS_SUPERVISOR = "doctor as the user of the supervisor";

export async function checkFiles(findings: Findings, place: Place, answer: Answer): Promise<void> {
  await findings.look("socket", () => checkSocket(findings, place, answer));
  await findings.look("file", () => checkFile(findings, place, answer));
  await findings.look("journal", () => checkJournal(findings, place));
}

/** Whether a supervisor listens there. */
export async function tryAnswers(place: Pick<Place, "socket" | "file">): Promise<Answer> {
  const { socket, file } = place;
  const answer = await tryOne(socket);
  if (answer !== null) return answer;
  if ((await tryOne(`${file}.lock`)) === "live") return "elsewhere";
  return stat(socket) === undefined ? "absent" : "stale";
}

/** Null where nobody listens. */
async function tryOne(path: string): Promise<"live" | "unreachable" | null> {
  // The system would cut a longer one.
  if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH) return null;
  try {
    return (await answers(path)) ? "live" : null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "EACCES" || code === "EPERM" ? "unreachable" : null;
  }
}

function checkSocket(findings: Findings, place: Place, answer: Answer): void {
  const { socket, file, isNamed, origin } = place;
  const status = stat(socket);
  if (status !== undefined && !status.isSocket()) {
    const message = `Something that is not a socket is in its place, ${kindOf(status)}: "${socket}"`;
    // What a variable or an option names may be anything of the user's.
    const other = status.isDirectory() ? join(socket, "default.ipc") : "the path of a socket";
    findings.error("socket", message, isNamed ? `rm ${word(socket)}` : `${other}, ${origin}`);
    return;
  }
  const access = status === undefined ? "" : `of user ${status.uid}, mode ${modeText(status.mode)}`;
  if (answer === "unreachable") {
    const user = process.geteuid?.();
    const message = `User ${user} may not connect to "${socket}" ${access}`.trimEnd();
    const fix = "supervise --mode 0660 --group NAME in a folder of 0750, or a folder of one's own";
    findings.error("socket", message, fix);
  } else if (answer === "live") {
    findings.ok("socket", `"${socket}" ${access}`);
  } else if (answer === "elsewhere") {
    const message = `Nobody listens on "${socket}", but a supervisor owns "${file}"`;
    findings.error(
      "socket",
      message,
      "--socket with that of the owner, or another --name or --dir",
    );
  } else if (answer === "stale") {
    const message = `Nobody listens on "${socket}": its supervisor was killed`;
    findings.warning("socket", message, "start a supervisor: it replaces the socket");
  }
}

function checkFile(findings: Findings, place: Place, answer: Answer): void {
  const { file, socket, isLive, isNamed } = place;
  const status = stat(file);
  if (status === undefined) {
    if (answer !== "live") return;
    const message = `"${file}" is not there, though a supervisor runs`;
    if (isNamed) findings.error("file", `${message}: it was removed`, "restart the supervisor");
    else findings.warning("file", message, "--path with the path of its file");
    return;
  }
  if (!status.isFile()) {
    const message = `Something that is not a file is in its place, ${kindOf(status)}: "${file}"`;
    const isOurs = isNamed && file === fileBeside(socket);
    findings.error("file", message, isOurs ? `rm ${word(file)}` : "the path of its file by --path");
    return;
  }
  const { uid, mode, size } = status;
  const user = process.geteuid?.() ?? uid;
  const message = `${sizeText(size)} of user ${uid}, mode ${modeText(mode)}`;
  if ((mode & 0o002) !== 0) {
    const reason = `${message}: everybody may write to it`;
    findings.error("file", reason, `chmod o= ${word(file)}, and --mode 0660 --group NAME`);
  } else if (uid !== user && !isLive) {
    const reason = `${message}: no supervisor of user ${user} goes on with it`;
    // Root looks after those of others.
    if (user === 0) findings.warning("file", reason, AS_SUPERVISOR);
    else findings.error("file", reason, "another --name or --dir");
  } else if (isLive && refusal(file) !== null) {
    const reason = `${message}: user ${user} may not write to it (${refusal(file)})`;
    const fix =
      "supervise --mode 0660 --group NAME; RuntimeDirectory= in the unit of the workers, too";
    findings.error("file", reason, fix);
  } else {
    findings.ok("file", `${message}${pagesText(size)}`);
  }
}

/** Why a worker here may not write to the file; null where it may. */
function refusal(file: string): string | null {
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? null;
  }
}

/** Files grow by whole pages. */
function pagesText(size: number): string {
  let page: number;
  try {
    page = Number(/^KernelPageSize: +(\d+) kB$/m.exec(readProc("/proc/self/smaps"))?.[1]) * 1024;
  } catch {
    return "";
  }
  if (!(page > 0)) return "";
  const part = size % page === 0 ? "" : ", the last one in part";
  return `; ${Math.ceil(size / page)} pages of ${sizeText(page)}${part}`;
}

function checkJournal(findings: Findings, { file, isLive }: Place): void {
  let journal: ReturnType<typeof readJournal>;
  try {
    journal = readJournal(file, { ownOnly: !isLive });
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
    // The folder's check says so.
    if (code === "ENOTDIR") return;
    const user = process.geteuid?.();
    const path = journalPath(file);
    if (code === "EACCES" || code === "EPERM") {
      findings.warning("journal", `User ${user} may not read it`, AS_SUPERVISOR);
      return;
    }
    const isOwn = (stat(path)?.uid ?? user) === user;
    const fix = `mv ${word(path)} to another place: a new supervisor begins anew`;
    findings.error("journal", error.message, isOwn ? fix : AS_SUPERVISOR);
    return;
  }
  const status = stat(file);
  if (journal === null) {
    if (status === undefined) return;
    const message = "There is none: the next supervisor begins anew, and counters start at 0";
    findings.warning("journal", message, 'leave out "journal: false" of the monitor');
    return;
  }
  const { header, state } = journal;
  const { segmentSize, inode } = header.file;
  if (header.boot !== bootId()) {
    const message = "From before this start of the machine: the next supervisor begins anew";
    findings.ok("journal", message);
  } else if (status !== undefined && String(lstatSync(file, { bigint: true }).ino) !== inode) {
    const message = `It speaks of another file, inode ${inode}: what workers had counted in that is lost`;
    findings.warning("journal", message, `let nobody copy or replace ${word(file)}`);
  } else {
    const count = state.held.size;
    const segments = `${count} ${count === 1 ? "segment" : "segments"}`;
    findings.ok("journal", `${segments} of ${sizeText(segmentSize)} in use`);
  }
}

/** Undefined for what is not there, or cannot be reached. */
function stat(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
