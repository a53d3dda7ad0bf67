// The stream of events, opened again whenever it ends.

/**
 * What one event tells: the time, and the status of each monitor.
 *
 * @typedef {{time: string, status: import("./model.js").Status[]}} Report
 */

import { parseExactly } from "./json.js";

const RETRY_MS = 2000;
/** Events come every second: without any for so long, the connection is lost and does not know it. */
const SILENCE_MS = 10_000;

export class Source {
  /** @type {(report: Report) => void} */
  #onReport;
  /** @type {(isLive: boolean) => void} */
  #onChange;
  /** @type {EventSource | null} */
  #events = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #byWorker = false;

  /**
   * @param {(report: Report) => void} onReport
   * @param {(isLive: boolean) => void} onChange told whenever an event has come, or the connection
   * is lost.
   */
  constructor(onReport, onChange) {
    this.#onReport = onReport;
    this.#onChange = onChange;
    // A computer that wakes up, or a network that is back, need not wait for the timer.
    addEventListener("online", () => this.#open());
    this.#open();
  }

  /** Whether each worker is wanted, too. @param {boolean} byWorker */
  want(byWorker) {
    if (byWorker === this.#byWorker) return;
    this.#byWorker = byWorker;
    this.#open();
  }

  #open() {
    this.#events?.close();
    const events = new EventSource(`/events?totals${this.#byWorker ? "&workers" : ""}`);
    this.#events = events;
    events.onmessage = ({ data }) => {
      this.#expect(SILENCE_MS);
      this.#onChange(true);
      this.#onReport(parseExactly(data));
    };
    events.onerror = () => {
      events.close();
      this.#onChange(false);
      this.#expect(RETRY_MS);
    };
    this.#expect(SILENCE_MS);
  }

  /** Opens anew if nothing comes in time. @param {number} ms */
  #expect(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#events?.readyState !== EventSource.CLOSED) this.#onChange(false);
      this.#open();
    }, ms);
  }
}
