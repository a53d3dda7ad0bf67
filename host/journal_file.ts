// Reads a journal that somebody else wrote, or is writing.

import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { journalPath } from "./journal.ts";
import { JOURNAL_FORMAT, type JournalHeader } from "./journal_header.ts";
import { type Change, JournalState } from "./journal_state.ts";

/** A journal that cannot be used, and why. */
export class JournalError extends Error {
  override readonly name = "JournalError";
}

export interface JournalFile {
  readonly header: JournalHeader;
  readonly state: JournalState;
}

/**
 * Reads the journal of a shared file. A last line without an end was torn when its writer was
 * killed, and is left out.
 *
 * @param options.ownOnly refuses one that somebody other than this process's user or root owns: in
 * a folder of many it could tell any totals.
 * @returns null when there is none.
 * @throws {JournalError} when it is of another format, or is not what a supervisor writes.
 * @throws {Error} the system's, when it cannot be read.
 */
export function readJournal(
  file: string,
  { ownOnly = false }: { ownOnly?: boolean } = {},
): JournalFile | null {
  const path = journalPath(file);
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  let descriptor: number;
  try {
    descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return null;
    throw new JournalError(`Cannot read journal "${path}": ${code}`, { cause: error });
  }
  let text: string;
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) throw new JournalError(`Cannot use journal "${path}": it is not a file`);
    const user = process.geteuid?.() ?? status.uid;
    if (ownOnly && status.uid !== user && status.uid !== 0) {
      throw new JournalError(
        `Cannot use journal "${path}": it belongs to user ${status.uid}, not to ${user}`,
      );
    }
    text = readFileSync(descriptor, "utf8");
  } finally {
    closeSync(descriptor);
  }
  const lines = text.split("\n");
  lines.pop();
  const header = readHeader(path, lines);
  const state = new JournalState();
  for (let index = 1; index < lines.length; index++) {
    try {
      for (const change of JSON.parse(lines[index]!) as Change[]) state.apply(change);
    } catch (error) {
      throw new JournalError(
        `Cannot use journal "${path}": line ${index + 1}: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }
  return { header, state };
}

function readHeader(path: string, lines: readonly string[]): JournalHeader {
  let header: Partial<JournalHeader> | null;
  try {
    header = JSON.parse(lines[0] ?? "");
  } catch {
    throw new JournalError(`Cannot use journal "${path}": its first line is torn or missing`);
  }
  if (header?.format !== JOURNAL_FORMAT) {
    throw new JournalError(
      `Cannot use journal "${path}": its format is ${header?.format}, known is ${JOURNAL_FORMAT}`,
    );
  }
  const { file, supervisor } = header;
  if (
    typeof file?.inode !== "string" ||
    !Number.isInteger(file.segmentSize) ||
    typeof supervisor?.pid !== "number"
  ) {
    throw new JournalError(`Cannot use journal "${path}": its first line names no file`);
  }
  return header as JournalHeader;
}
