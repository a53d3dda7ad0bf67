// The journal beside a shared file: what is needed to read the file without its supervisor, and to
// go on where that supervisor ended. Lines of JSON, appended; written anew when most of it is past.
//
//   {"format":2,"boot":"…","supervisor":{…},"file":{…}}     who writes, and of which file
//   [{"hold":7,"at":512,"pid":4711,…}]                      changes that happened at once
//
// Processes may be killed at any moment, so a line is written before what it says can matter to
// anybody: a registration before it is answered, a retirement before the segment is free. It is not
// synced: after a crash of the machine there are no workers to go on with.

import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { clearTimeout, setTimeout } from "node:timers";
import { cannot } from "./directory.ts";
import { jsonText } from "./exact_json.ts";
import type { JournalHeader } from "./journal_header.ts";
import { type Change, JournalState } from "./journal_state.ts";
import type { Logger } from "./log.ts";

/** Lines that may be past before the journal is written anew, besides as many as are not. */
const SPARE_LINES = 4096;
/** The same for bytes: a line may be as long as a schema. */
const SPARE_BYTES = 4 << 20;
/** What could not be written is tried again so much later: all of it has to be written then. */
const RETRY_MS = 1000;

export interface JournalOptions {
  readonly header: JournalHeader;
  /** Where to go on; by default from nothing. */
  readonly state?: JournalState | undefined;
  /** Permission bits. */
  readonly mode: number;
  readonly groupId?: number | undefined;
  readonly log: Logger;
}

/** The path of the journal of a shared file. */
export function journalPath(path: string): string {
  return `${path}.journal`;
}

export class Journal {
  readonly path: string;
  readonly state: JournalState;
  readonly #options: JournalOptions;
  #descriptor: number | null = null;
  #lines = 0;
  /** With so many lines it is written anew. */
  #limit = 0;
  #bytes = 0;
  #byteLimit = 0;
  /** Runs while it could not be written. */
  #retry: ReturnType<typeof setTimeout> | null = null;
  /** The changes of an unfinished line. */
  #batch: Change[] | null = null;
  /** Whether it could not be written, and that was said. */
  #failing = false;

  /**
   * Writes the journal of `file` anew: the header, and what `state` holds.
   *
   * @throws {Error} when it cannot be created, and why.
   */
  constructor(file: string, options: JournalOptions) {
    this.path = journalPath(file);
    this.state = options.state ?? new JournalState();
    this.#options = options;
    try {
      this.#rewrite();
    } catch (error) {
      const { path, dest = path } = error as NodeJS.ErrnoException & { dest?: string };
      throw cannot("write journal", dest ?? this.path, error);
    }
  }

  /** The number of a new registration. */
  nextKey(): number {
    return this.state.nextKey++;
  }

  /** The number of a new schema. */
  nextSchema(): number {
    return this.state.nextSchema++;
  }

  /** Applies changes and writes them as one line. Never throws for a full or failing disk. */
  append(...changes: Change[]): void {
    for (const change of changes) this.state.apply(change);
    if (this.#batch !== null) this.#batch.push(...changes);
    else this.#write(changes);
  }

  /** All that `action` appends becomes one line. */
  together<Result>(action: () => Result): Result {
    if (this.#batch !== null) return action();
    const batch: Change[] = [];
    this.#batch = batch;
    try {
      return action();
    } finally {
      this.#batch = null;
      if (batch.length > 0) this.#write(batch);
    }
  }

  #write(changes: readonly Change[]): void {
    if (this.#retry !== null) return;
    try {
      if (this.#descriptor === null) this.#rewrite();
      else if (!this.#isFull || !this.#tryRewrite()) {
        this.#bytes += writeWhole(this.#descriptor, `${jsonText(changes)}\n`);
        this.#lines++;
      }
      if (this.#failing) this.#options.log.info(`Writing "${this.path}" again`);
      this.#failing = false;
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  get #isFull(): boolean {
    return this.#lines >= this.#limit || this.#bytes >= this.#byteLimit;
  }

  /** While there is no room for a second one, the old one is gone on with. */
  #tryRewrite(): boolean {
    try {
      this.#rewrite();
      return true;
    } catch {
      // It is long by now, and so is each attempt.
      this.#limit = this.#lines + SPARE_LINES + (this.#lines >>> 1);
      this.#byteLimit = this.#bytes + SPARE_BYTES + this.#bytes / 2;
      return false;
    }
  }

  /** A journal that lacks a line tells of workers that are gone: rather none, until there is room. */
  #fail(error: Error): void {
    this.#close();
    try {
      unlinkSync(this.path);
    } catch {
      // It is gone, or the folder can no longer be written: nothing can be done.
    }
    this.#retry = setTimeout(() => this.#tryAgain(), RETRY_MS);
    this.#retry.unref();
    if (this.#failing) return;
    this.#failing = true;
    this.#options.log.error(
      `Cannot write "${this.path}": ${error.message}. A supervisor that is killed now starts anew`,
    );
  }

  #tryAgain(): void {
    this.#retry = null;
    this.#write([]);
  }

  /** Under another name first: whoever reads finds the old one or the new one, and both are whole. */
  #rewrite(): void {
    const { header, mode, groupId } = this.#options;
    const temporary = `${this.path}.new`;
    const { O_WRONLY, O_CREAT, O_EXCL, O_APPEND, O_NOFOLLOW } = constants;
    remove(temporary);
    const descriptor = openSync(
      temporary,
      O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW,
      mode,
    );
    try {
      fchmodSync(descriptor, mode);
      if (groupId !== undefined) fchownSync(descriptor, -1, groupId);
      let lines = [JSON.stringify(header)];
      let count = 1;
      let bytes = 0;
      for (const changes of this.state.snapshot()) {
        lines.push(jsonText(changes));
        count++;
        if (lines.length < 1000) continue;
        bytes += writeWhole(descriptor, `${lines.join("\n")}\n`);
        lines = [];
      }
      if (lines.length > 0) bytes += writeWhole(descriptor, `${lines.join("\n")}\n`);
      renameSync(temporary, this.path);
      this.#close();
      this.#descriptor = descriptor;
      this.#lines = count;
      this.#bytes = bytes;
      this.#byteLimit = SPARE_BYTES + 2 * bytes;
      this.#limit = SPARE_LINES + 2 * count;
    } catch (error) {
      closeSync(descriptor);
      remove(temporary);
      throw error;
    }
  }

  #close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }

  /** Closes it. It stays for the next supervisor, unless there is nothing to go on with. */
  close({ remove: isRemoved }: { remove: boolean }): void {
    if (this.#retry !== null) {
      clearTimeout(this.#retry);
      this.#tryAgain();
      if (this.#retry !== null) clearTimeout(this.#retry);
    }
    this.#close();
    if (isRemoved) remove(this.path);
  }
}

function writeWhole(descriptor: number, text: string): number {
  const size = Buffer.byteLength(text);
  let done = writeSync(descriptor, text);
  if (done < size) {
    const bytes = Buffer.from(text);
    while (done < size) done += writeSync(descriptor, bytes, done);
  }
  return size;
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
