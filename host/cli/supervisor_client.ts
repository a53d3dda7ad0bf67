// Asks a running supervisor, over its socket.

import { connect, type Socket } from "node:net";
import { Connection } from "../bus/connection.ts";
import { RemoteError } from "../bus/errors.ts";
import { ObjectReference, plain, RemoteException, text } from "../bus/values.ts";
import { exactJson } from "../exact_json.ts";
import { silentLogger } from "../log.ts";
import { checkSocketPath } from "../unix_socket.ts";

/** The answer was asked for: it may be as large as it needs to be. */
const FRAME_SIZE = 256 * 1024 * 1024;

export interface StatusQuestion {
  readonly totals: boolean;
  readonly by_worker: boolean;
}

/** A connection to a supervisor. */
export class SupervisorClient {
  readonly #connection: Connection;

  private constructor(socket: Socket) {
    this.#connection = new Connection({
      socket,
      accepting: false,
      log: silentLogger,
      limits: { frameSize: FRAME_SIZE },
    });
  }

  /** @throws {Error} in a sentence for people, when there is none at this path. */
  static async open(path: string): Promise<SupervisorClient> {
    checkSocketPath(path);
    const socket = connect(path);
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("connect", resolve).once("error", reject);
      });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const isAbsent = code === "ENOENT" || code === "ECONNREFUSED";
      throw new Error(
        isAbsent ? `No supervisor listens on "${path}"` : `Cannot reach the supervisor: ${message}`,
      );
    }
    return new SupervisorClient(socket);
  }

  /** The status as JSON text with all digits, or null: a Ruby supervisor cannot tell it. */
  async statusText(options: StatusQuestion, timeoutMs: number): Promise<string | null> {
    let answer: unknown;
    try {
      answer = await this.#connection.invoke("supervisor", "status_json", [], {
        options: { ...options },
        timeoutMs,
      });
    } catch (error) {
      if (error instanceof RemoteError && error.className === "NoMethodError") return null;
      throw error;
    }
    const json = plain(answer);
    if (typeof json !== "string" || !isJson(json)) throw new Error("it did not answer with JSON");
    return json;
  }

  /** The same from any supervisor, with what that one has to say. */
  async plainStatusText(timeoutMs: number): Promise<string> {
    const answer = await this.#connection.invoke("supervisor", "status", [], { timeoutMs });
    return exactJson(readable(plain(answer)));
  }

  /** What a method without arguments answers, or null: the supervisor does not know it. */
  async ask(method: "version" | "limits_reached", timeoutMs: number): Promise<unknown> {
    try {
      return plain(await this.#connection.invoke("supervisor", method, [], { timeoutMs }));
    } catch (error) {
      if (error instanceof RemoteError && error.className === "NoMethodError") return null;
      throw error;
    }
  }

  close(): void {
    this.#connection.close();
  }
}

/** Also keeps escape sequences of a stranger off the terminal: JSON has no raw control characters. */
function isJson(json: string): boolean {
  try {
    JSON.parse(json);
    return true;
  } catch {
    return false;
  }
}

/** What is left of Ruby in a plain value, for people. */
function readable(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return text(value);
  if (value instanceof ObjectReference) return "(object)";
  if (value instanceof RemoteException) {
    return { error: [value.className, value.message].filter(Boolean).join(": ") };
  }
  if (Array.isArray(value)) return value.map(readable);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, readable(item)]));
}
