// How the demo shows what it does: lines of JSON, or a live table.

import type { WriteStream } from "node:tty";
import { type Logger, stderrLogger } from "../log.ts";
import type { UtilizationMonitor } from "../utilization_monitor.ts";
import { printable } from "./arguments.ts";
import { type Frame, FrameReader, isStalled } from "./frame.ts";
import { printLine } from "./output.ts";
import { type Line, Screen } from "./screen.ts";
import { renderTable } from "./table.ts";

/** What there is to show. */
export interface DemoScene {
  readonly monitor: UtilizationMonitor;
  readonly socket: string;
}

export interface DemoView {
  readonly log: Logger;
  open(scene: DemoScene): void;
  /** Shows what the monitor knows now. */
  update(): void;
  /** No more is shown or logged, except for errors: what follows is the end of everything. */
  close(): void;
}

/** What `supervise` would print, and the log on standard error. */
export class LineView implements DemoView {
  #scene: DemoScene | null = null;
  #closed = false;

  readonly log: Logger = {
    debug() {},
    info: (...message) => this.#closed || stderrLogger.info(...message),
    warn: (...message) => this.#closed || stderrLogger.warn(...message),
    error: (...message) => stderrLogger.error(...message),
  };

  open(scene: DemoScene): void {
    this.#scene = scene;
  }

  update(): void {
    if (this.#scene !== null) printLine(this.#scene.monitor);
  }

  close(): void {
    this.#closed = true;
  }
}

const KEPT_NEWS = 4;
const TITLE = "utilization demo: HTTP servers under load";
const END_HINT = "Ctrl-C ends it";

/** A table that fills the terminal. */
export class TableView implements DemoView {
  readonly #screen: Screen;
  readonly #logsToScreen: boolean;
  #scene: DemoScene | null = null;
  #reader: FrameReader | null = null;
  #frame: Frame = { columns: [], histograms: [], services: [] };
  /** The last lines of the log. */
  #news: string[] = [];
  #closed = false;

  readonly log: Logger = {
    debug() {},
    info: (...message) => this.#logsToScreen || stderrLogger.info(...message),
    warn: (...message) => this.#tell("warn", message),
    error: (...message) => this.#tell("error", message),
  };

  /** @param logsToScreen whether standard error is the same terminal. */
  constructor(output: WriteStream, logsToScreen: boolean) {
    this.#screen = new Screen(output, (columns, rows) => this.#render(columns, rows));
    this.#logsToScreen = logsToScreen;
  }

  #tell(level: "warn" | "error", message: [string, ...unknown[]]): void {
    if (this.#closed && level !== "error") return;
    if (this.#closed || !this.#logsToScreen) {
      stderrLogger[level](...message);
      return;
    }
    const [text, ...details] = message;
    const words = details.map((detail) => (detail instanceof Error ? detail.message : detail));
    const time = new Date().toTimeString().slice(0, 8);
    this.#news.push(`${time} ${printable([text, ...words].join(" "))}`);
    this.#news = this.#news.slice(-KEPT_NEWS);
    this.#screen.draw();
  }

  open(scene: DemoScene): void {
    this.#scene = scene;
    this.#reader = new FrameReader(scene.monitor);
    this.#screen.enter();
  }

  update(): void {
    if (this.#reader === null) return;
    this.#frame = this.#reader.read();
    this.#screen.draw();
  }

  close(): void {
    this.#closed = true;
    this.#screen.leave();
    // It ends before it could begin: here is why.
    if (this.#scene === null) for (const line of this.#news) console.error(line);
  }

  #render(columns: number, rows: number): Line[] {
    if (this.#scene === null) return [];
    const { socket } = this.#scene;
    const head: Line[] = [
      this.#closed
        ? [{ text: TITLE, style: "bold" }]
        : [
            { text: TITLE, style: "bold" },
            { text: END_HINT.padStart(Math.max(columns - TITLE.length, END_HINT.length + 1)) },
          ],
    ];
    if (!this.#closed) {
      head.push([{ text: "Ask it from another terminal:", style: "dim" }]);
      head.push([{ text: `  npx utilization-monitor status --socket ${socket}` }]);
    }
    head.push([]);
    const foot = this.#closed ? [] : [...stalledLines(this.#scene.monitor), ...this.#newsLines()];
    const room = rows - head.length - foot.length;
    const table = renderTable(this.#frame, { columns, rows: room });
    return [...head, ...table, ...foot];
  }

  #newsLines(): Line[] {
    if (this.#news.length === 0) return [];
    return [[], ...this.#news.map((text): Line => [{ text, style: "dim" }])];
  }
}

/** What it means for the first worker that stands still. */
function stalledLines(monitor: UtilizationMonitor): Line[] {
  const worker = monitor.sampleByWorker().find(isStalled);
  if (worker === undefined) return [];
  const { processId, mapping } = worker;
  const isMapped = mapping !== "none";
  const fate = isMapped ? "Its counters are read anyway." : "Unmapped: its counters stand still.";
  const what = `pid ${processId} is stalled and answers nobody.`;
  return [[], [{ text: what, style: "alert" }, { text: ` ${fate}` }]];
}
