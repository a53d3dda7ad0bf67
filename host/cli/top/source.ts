// Where values come from: a supervisor that runs, or the file of one.

import { setTimeout as sleep } from "node:timers/promises";
import { Inspection } from "../../inspection.ts";
import { SupervisorClient } from "../supervisor_client.ts";
import { Snapshot } from "./snapshot.ts";

export interface Source {
  /** What is read, for people. */
  readonly path: string;
  /** Reads once. What has failed may work the next time. @throws {SourceError} */
  poll(): Promise<Snapshot>;
  close(): void;
}

/** Why nothing could be read, in a sentence; and the same for who knows where it was. */
export class SourceError extends Error {
  override readonly name: string = "SourceError";
  readonly brief: string;

  constructor(message: string, brief: string) {
    super(message);
    this.brief = brief;
  }
}

/** How long an answer may take. */
const PATIENCE_MS = 3000;

/** A supervisor, by its socket. A connection that fails is made anew by the next poll. */
export class SupervisorSource implements Source {
  readonly path: string;
  #client: SupervisorClient | null = null;
  #closed = false;

  constructor(socket: string) {
    this.path = socket;
  }

  async poll(): Promise<Snapshot> {
    this.#client ??= await this.#connect();
    // It was closed meanwhile.
    if (this.#closed) this.close();
    try {
      return Snapshot.parse(await this.#ask());
    } catch (error) {
      this.#disconnect();
      const { message } = error as Error;
      throw new SourceError(
        `Cannot get the status of the supervisor at "${this.path}": ${message}`,
        `The supervisor gave no answer: ${message}.`,
      );
    }
  }

  async #connect(): Promise<SupervisorClient> {
    try {
      return await SupervisorClient.open(this.path);
    } catch (error) {
      throw new SourceError((error as Error).message, "No supervisor listens.");
    }
  }

  async #ask(): Promise<string> {
    const question = { totals: true, by_worker: true };
    const answer = await this.#client?.statusText(question, PATIENCE_MS);
    if (answer !== null && answer !== undefined) return answer;
    if (this.#client === null) throw new Error("closed");
    return await this.#client.plainStatusText(PATIENCE_MS);
  }

  #disconnect(): void {
    this.#client?.close();
    this.#client = null;
  }

  close(): void {
    this.#closed = true;
    this.#disconnect();
  }
}

/** How often a file is read anew while workers come and go, and what is waited in between. */
const ATTEMPTS = 50;
const PAUSE_MS = 5;

/** A shared file and its journal, whether or not anybody lives. */
export class FileSource implements Source {
  readonly path: string;
  #inspection: Inspection | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** Reads of one moment: a supervisor that lives may give a segment to another meanwhile. */
  async poll(): Promise<Snapshot> {
    for (let attempt = 1; ; attempt++) {
      if (this.#inspection?.isCurrent !== true) this.#open();
      const snapshot = Snapshot.of(this.#inspection!);
      if (this.#inspection!.isCurrent || attempt === ATTEMPTS) return snapshot;
      await sleep(PAUSE_MS);
    }
  }

  #open(): void {
    this.close();
    try {
      this.#inspection = Inspection.open(this.path);
    } catch (error) {
      throw new SourceError((error as Error).message, "The file cannot be read.");
    }
  }

  close(): void {
    this.#inspection?.close();
    this.#inspection = null;
  }
}
