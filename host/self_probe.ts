import { connect } from "node:net";
import { clearTimeout, setTimeout } from "node:timers";
import { Connection } from "./bus/connection.ts";
import { type Logger, silentLogger } from "./log.ts";

/**
 * Calls the supervisor as any client would, from time to time. A process that has run out of file
 * descriptors is told of it by no event: its server accepts connections and drops them. One log
 * line says so, and one that it is over.
 */
export class SelfProbe {
  readonly #socket: string;
  readonly #intervalMs: number;
  readonly #log: Logger;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #stopped = false;
  #failing = false;

  constructor(socket: string, intervalMs: number, log: Logger) {
    this.#socket = socket;
    this.#intervalMs = intervalMs;
    this.#log = log;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#check(), this.#intervalMs);
    this.#timer.unref();
  }

  async #check(): Promise<void> {
    const reason = await this.#call();
    if (this.#stopped) return;
    if (reason !== null && !this.#failing) {
      this.#log.error(`New workers cannot reach the supervisor: ${reason}`);
    } else if (reason === null && this.#failing) {
      this.#log.info("New workers can reach the supervisor again");
    }
    this.#failing = reason !== null;
    this.#schedule();
  }

  /** Null, or why there was no answer. */
  async #call(): Promise<string | null> {
    const socket = connect(this.#socket);
    socket.unref();
    const connection = new Connection({ socket, accepting: false, log: silentLogger });
    try {
      await connection.invoke("supervisor", "keys", [], { timeoutMs: this.#intervalMs });
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      connection.close();
    }
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
