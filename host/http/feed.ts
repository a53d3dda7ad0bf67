// Server-sent events: each reader gets one every interval. Nothing is kept for a slow reader.

import type { ServerResponse } from "node:http";

/** What a reader wants to know. */
export interface Subscription {
  readonly intervalMs: number;
  readonly totals: boolean;
  readonly byWorker: boolean;
}

interface Reader extends Subscription {
  readonly response: ServerResponse;
  /** When its next event is due. */
  eventAt: number;
  /** When something is to be done for it. */
  dueAt: number;
  /** When it was last sent anything. */
  sentAt: number;
  /** Since when it has not taken what it was sent; null while it does. */
  behindSince: number | null;
}

export interface FeedOptions {
  /** The data of an event, one line of text. Readers that are due together ask in one turn. */
  readonly read: (subscription: Subscription) => string;
  readonly onError: (error: unknown) => void;
  /** Something is written at least this often: proxies take silence for death. */
  readonly heartbeatMs?: number | undefined;
  /** A reader that has taken nothing for so long is dropped. */
  readonly patienceMs?: number | undefined;
}

const COMMENT = ":\n\n";

export class Feed {
  readonly #read: FeedOptions["read"];
  readonly #onError: FeedOptions["onError"];
  readonly #heartbeatMs: number;
  readonly #patienceMs: number;
  readonly #readers: Set<Reader> = new Set();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor({ read, onError, heartbeatMs = 15_000, patienceMs = 10_000 }: FeedOptions) {
    this.#read = read;
    this.#onError = onError;
    this.#heartbeatMs = heartbeatMs;
    this.#patienceMs = patienceMs;
  }

  get size(): number {
    return this.#readers.size;
  }

  /** Sends an event at once and then every interval, until the response is closed. */
  add(response: ServerResponse, subscription: Subscription): void {
    const now = performance.now();
    const moments = { eventAt: now, dueAt: now, sentAt: now, behindSince: null };
    const reader: Reader = { ...subscription, ...moments, response };
    this.#readers.add(reader);
    response.once("close", () => this.#remove(reader));
    this.#serve(reader, now);
    this.#schedule();
  }

  #remove(reader: Reader): void {
    this.#readers.delete(reader);
    if (this.#readers.size === 0) this.#stop();
  }

  #schedule(): void {
    this.#stop();
    if (this.#readers.size === 0) return;
    let next = Number.POSITIVE_INFINITY;
    for (const { dueAt } of this.#readers) next = Math.min(next, dueAt);
    this.#timer = setTimeout(() => this.#round(), Math.ceil(next - performance.now()));
  }

  #stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #round(): void {
    const now = performance.now();
    for (const reader of this.#readers) if (reader.dueAt <= now) this.#serve(reader, now);
    this.#schedule();
  }

  #serve(reader: Reader, now: number): void {
    const { response, intervalMs } = reader;
    const isEventDue = now >= reader.eventAt;
    // Multiples of the interval: readers that came at different times are due together.
    if (isEventDue) reader.eventAt = (Math.floor(now / intervalMs) + 1) * intervalMs;
    reader.dueAt = Math.min(reader.eventAt, now + this.#heartbeatMs);
    if (response.writableLength > 0) {
      reader.behindSince ??= now;
      if (now - reader.behindSince < this.#patienceMs) return;
      this.#remove(reader);
      response.destroy();
      return;
    }
    reader.behindSince = null;
    const isSilent = now - reader.sentAt >= this.#heartbeatMs;
    const event = isEventDue ? this.#event(reader) : null;
    if (event === null && !isSilent) return;
    response.write(event ?? COMMENT);
    reader.sentAt = now;
  }

  /** Null when there is nothing to tell. */
  #event(subscription: Subscription): string | null {
    try {
      return `data: ${this.#read(subscription)}\n\n`;
    } catch (error) {
      this.#onError(error);
      return null;
    }
  }

  /** Ends all readers at once. */
  close(): void {
    this.#stop();
    for (const { response } of this.#readers) response.destroy();
    this.#readers.clear();
  }
}
