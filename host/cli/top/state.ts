// What the live table shows, and what its keys change.

import type { Frame } from "../frame.ts";
import { type Column, columnsOf, FIXED } from "./columns.ts";
import { History } from "./history.ts";
import { allRows, type Order, type Row, rowsOf } from "./rows.ts";

/** A key, as `node:readline` names it. */
export interface Key {
  readonly name?: string | undefined;
  /** What it writes. */
  readonly sequence?: string | undefined;
  readonly ctrl?: boolean | undefined;
}

/** What a key asks of the process. */
export type Request = "quit" | "suspend" | "redraw" | null;

const LONGEST_FILTER = 64;

export class TopState {
  readonly #isStill: boolean;
  #frame: Frame = { columns: [], histograms: [], services: [] };
  #columns: readonly Column[] = [];
  readonly history: History = new History();
  /** Why there are no newer values, if there are none. */
  failure: string | null = null;
  /** When the last values came. */
  time: Date = new Date(0);
  isPaused = false;
  isHelping = false;
  isFiltering = false;
  filter = "";
  order: Order | null = null;
  /** The column of the sparkline and of the order; the first of a field, until one is chosen. */
  #chosen: string | null = null;
  #cursorKey: string | null = null;
  #cursorIndex = 0;
  readonly #open: Map<string, boolean> = new Map();
  /** Rows that the table had room for. */
  #room = 0;
  /** The first row and the first field that are shown. */
  #firstRow = 0;
  firstField = 0;

  /** @param still without keys: no row and no column is chosen. */
  constructor({ still = false }: { still?: boolean } = {}) {
    this.#isStill = still;
  }

  get frame(): Frame {
    return this.#frame;
  }

  /** Those of the fields. */
  get columns(): readonly Column[] {
    return this.#columns;
  }

  get chosen(): Column | null {
    if (this.#isStill) return null;
    const all = [...FIXED, ...this.#columns];
    return all.find(({ key }) => key === this.#chosen) ?? this.#columns[0] ?? null;
  }

  /** Takes in new values. */
  show(frame: Frame, time: Date): void {
    const isSame =
      String(frame.histograms) === String(this.#frame.histograms) &&
      frame.texts?.join("\n") === this.#frame.texts?.join("\n") &&
      frame.columns.length === this.#frame.columns.length &&
      frame.columns.every(({ name, isCounter }, index) => {
        const before = this.#frame.columns[index]!;
        return name === before.name && isCounter === before.isCounter;
      });
    if (!isSame) this.#columns = columnsOf(frame);
    this.#frame = frame;
    this.time = time;
    this.failure = null;
    this.history.add(allRows(frame), [...FIXED, ...this.#columns]);
  }

  /** The rows that are wanted, whether or not there is room. */
  get rows(): Row[] {
    const { filter, order } = this;
    return rowsOf(this.#frame, { filter, order, isOpen: (service) => this.isOpen(service) });
  }

  /** Until somebody has a say in it, workers are shown if there is room for all. */
  isOpen(service: string): boolean {
    return this.#open.get(service) ?? this.#everythingFits;
  }

  get #everythingFits(): boolean {
    const { services } = this.#frame;
    const rows = services.reduce((count, { workers }) => count + workers.length + 1, 0);
    return rows <= this.#room;
  }

  /** The rows for a table with this much room, and which of them is under the cursor. */
  window(room: number): { rows: Row[]; first: number; count: number; cursor: Row | null } {
    this.#room = room;
    const { rows } = this;
    this.#placeCursor(rows, this.#cursorIndexIn(rows));
    const cursor = this.#cursorIndex;
    const last = Math.max(0, rows.length - room);
    const first = Math.max(Math.min(this.#firstRow, cursor), cursor - Math.max(0, room - 1));
    this.#firstRow = Math.min(first, last);
    const shown = rows.slice(this.#firstRow, this.#firstRow + room);
    return {
      rows: shown,
      first: this.#firstRow,
      count: rows.length,
      cursor: this.#isStill ? null : (rows[cursor] ?? null),
    };
  }

  /** It stays with its row wherever that goes, except at the very top. */
  #cursorIndexIn(rows: readonly Row[]): number {
    if (this.#cursorIndex === 0) return 0;
    const index = rows.findIndex(({ key }) => key === this.#cursorKey);
    return index === -1 ? this.#cursorIndex : index;
  }

  #placeCursor(rows: readonly Row[], index: number): void {
    this.#cursorIndex = Math.max(0, Math.min(index, rows.length - 1));
    this.#cursorKey = rows[this.#cursorIndex]?.key ?? null;
  }

  /** Does what a key means. */
  press(key: Key): Request {
    if (key.ctrl && key.name === "c") return "quit";
    if (key.ctrl && key.name === "z") return "suspend";
    if (key.ctrl && key.name === "l") return "redraw";
    if (this.isHelping) {
      this.isHelping = false;
      return null;
    }
    if (this.isFiltering) this.#edit(key);
    else return this.#command(key);
    return null;
  }

  #edit({ name, sequence = "", ctrl }: Key): void {
    if (name === "return" || name === "enter") this.isFiltering = false;
    else if (name === "escape") this.#endFilter();
    else if (name === "backspace") this.filter = [...this.filter].slice(0, -1).join("");
    else if (ctrl && name === "u") this.filter = "";
    else if (name === "up" || name === "down") this.#move(name === "up" ? -1 : 1);
    else if (/^[^\p{C}]+$/u.test(sequence)) {
      this.filter = (this.filter + sequence).slice(0, LONGEST_FILTER);
    }
  }

  #endFilter(): void {
    this.isFiltering = false;
    this.filter = "";
  }

  #command({ name, sequence }: Key): Request {
    const page = Math.max(1, this.#room - 1);
    switch (name) {
      case "up":
        this.#move(-1);
        break;
      case "down":
        this.#move(1);
        break;
      case "pageup":
        this.#move(-page);
        break;
      case "pagedown":
        this.#move(page);
        break;
      case "home":
        this.#move(Number.NEGATIVE_INFINITY);
        break;
      case "end":
        this.#move(Number.POSITIVE_INFINITY);
        break;
      case "left":
        this.#choose(-1);
        break;
      case "right":
        this.#choose(1);
        break;
      case "return":
      case "enter":
      case "space":
        this.#toggle();
        break;
      case "escape":
        this.#endFilter();
        break;
      default:
        return this.#letter(sequence);
    }
    return null;
  }

  #letter(letter: string | undefined): Request {
    switch (letter) {
      case "q":
        return "quit";
      case "k":
        this.#move(-1);
        break;
      case "j":
        this.#move(1);
        break;
      case "e":
        this.#toggleAll();
        break;
      case "s":
        this.#sort();
        break;
      case "/":
        this.isFiltering = true;
        break;
      case "p":
        this.isPaused = !this.isPaused;
        break;
      case "?":
      case "h":
        this.isHelping = true;
        break;
    }
    return null;
  }

  #move(by: number): void {
    const { rows } = this;
    this.#placeCursor(rows, this.#cursorIndexIn(rows) + by);
  }

  #choose(by: number): void {
    const all = [...FIXED, ...this.#columns];
    const index = all.findIndex(({ key }) => key === this.chosen?.key);
    this.#chosen = all[Math.max(0, Math.min(index + by, all.length - 1))]!.key;
  }

  /** By the chosen column, most first; least first; as they came. */
  #sort(): void {
    const { chosen: column, order } = this;
    if (column === null) return;
    if (order?.column.key !== column.key) this.order = { column, isDescending: true };
    else this.order = order.isDescending ? { column, isDescending: false } : null;
    this.#move(Number.NEGATIVE_INFINITY);
  }

  /** Shows or hides the workers of the service under the cursor, which stays on the service. */
  #toggle(): void {
    const { rows } = this;
    const row = rows[this.#cursorIndexIn(rows)];
    if (row === undefined) return;
    const { name } = row.service;
    this.#open.set(name, !this.isOpen(name));
    const index = rows.findIndex(({ service, worker }) => worker === null && service.name === name);
    this.#placeCursor(rows, index);
  }

  #toggleAll(): void {
    const names = this.#frame.services.map(({ name }) => name);
    const isOpen = !names.some((name) => this.isOpen(name));
    for (const name of names) this.#open.set(name, isOpen);
  }
}
