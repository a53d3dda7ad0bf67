// The workers of one service: a row each, those that stand still first, then those that may leak.

/** @import { Field, Service, Worker } from "./model.js" */

import { arrange, make, write } from "./dom.js";
import { duration, exact, readableText } from "./format.js";

/** @typedef {{field: Field, isRate: boolean}} Column */

/** One worker's row. */
class Row {
  element = make("tr");
  #name = make("th", { scope: "row" });
  #state = make("td", { class: "state" });
  /** @type {HTMLTableCellElement[]} */
  #cells = [];
  /** What it says of itself. @type {HTMLTableCellElement[]} */
  #said = [];

  /** @param {Worker} worker */
  constructor(worker) {
    this.#name.textContent = worker.processId === null ? "?" : String(worker.processId);
    this.element.append(this.#name, this.#state);
  }

  /** @param {Worker} worker @param {readonly Column[]} columns @param {readonly string[]} texts */
  update(worker, columns, texts) {
    this.element.classList.toggle("stalled", worker.isStalled);
    this.element.classList.toggle("leaking", worker.isLeaking);
    write(this.#state, stateOf(worker));
    while (this.#said.length < texts.length) {
      const cell = make("td", { class: "text" });
      (this.#said.at(-1) ?? this.#state).after(cell);
      this.#said.push(cell);
    }
    for (const cell of this.#said.splice(texts.length)) cell.remove();
    for (const [index, name] of texts.entries()) {
      const cell = this.#said[index];
      if (cell !== undefined)
        write(cell, Object.hasOwn(worker.text, name) ? (worker.text[name] ?? "") : "");
    }
    while (this.#cells.length < columns.length) {
      const cell = make("td");
      this.#cells.push(cell);
      this.element.append(cell);
    }
    for (const cell of this.#cells.splice(columns.length)) cell.remove();
    for (const [index, { field, isRate }] of columns.entries()) {
      const cell = this.#cells[index];
      if (cell === undefined) continue;
      cell.classList.toggle("rate", isRate && field.parts === null);
      const { name, quantity } = field;
      cell.classList.toggle("leak", !isRate && Object.hasOwn(worker.leaking, name));
      write(
        cell,
        isRate
          ? readableText(worker.rates.get(name), quantity)
          : textOf(worker.values.get(name), field),
      );
    }
  }
}

/** @param {import("./json.js").Value | undefined} value @param {Field} field */
function textOf(value, { quantity }) {
  return quantity === "ratio" ? readableText(value, quantity) : exact(value);
}

/** @param {Worker} worker */
function stateOf({ isStalled, isLeaking, stalledFor, mapping }) {
  if (isStalled) return `stalled ${duration(stalledFor ?? 0)}`;
  const notes = `${mapping === "none" ? ", unmapped" : ""}${isLeaking ? ", leaking" : ""}`;
  return stalledFor === null ? `no heartbeat${notes}` : `runs${notes}`;
}

export class WorkerTable {
  #caption = make("caption");
  #head = make("tr");
  #body = make("tbody");
  /** @type {Map<Worker, Row>} */
  #rows = new Map();
  #heading = "";

  /** @param {string} caption */
  constructor(caption) {
    this.#caption.textContent = caption;
    const table = make("table", {}, [this.#caption, make("thead", {}, [this.#head]), this.#body]);
    // What is wider than the page is scrolled in here, also by keyboard.
    const attributes = { class: "scroll", role: "region", tabindex: "0", "aria-label": caption };
    this.element = make("div", attributes, [table]);
  }

  /** @param {readonly Worker[]} workers @param {Service} service */
  update(workers, { fields }) {
    const columns = [...fields.values()].flatMap((field) => {
      const value = { field, isRate: field.parts !== null };
      return field.isCounter ? [value, { field, isRate: true }] : [value];
    });
    const texts = [...new Set(workers.flatMap(({ text }) => Object.keys(text)))];
    this.#updateHead(columns, texts);
    /** @type {Map<Worker, Row>} */
    const rows = new Map();
    for (const worker of workers) {
      const row = this.#rows.get(worker) ?? new Row(worker);
      row.update(worker, columns, texts);
      rows.set(worker, row);
    }
    this.#rows = rows;
    const order = [...workers].sort((a, b) => trouble(b) - trouble(a));
    arrange(
      this.#body,
      order.map((worker) => /** @type {Row} */ (rows.get(worker)).element),
    );
  }

  /** @param {readonly Column[]} columns @param {readonly string[]} texts */
  #updateHead(columns, texts) {
    const names = columns.map(({ field, isRate }) => {
      if (field.parts !== null) return `${field.name} p99`;
      return isRate ? `${field.name} /s` : field.name;
    });
    const heading = [...texts, "", ...names].join("\n");
    if (heading === this.#heading) return;
    this.#heading = heading;
    const cells = columns.map(({ field, isRate }, index) =>
      isRate && field.parts === null
        ? make("th", { scope: "col", class: "rate", "aria-label": `${field.name} per second` }, [
            document.createTextNode("/s"),
          ])
        : make("th", { scope: "col", text: names[index] ?? "" }),
    );
    this.#head.replaceChildren(
      make("th", { scope: "col", text: "pid" }),
      make("th", { scope: "col", class: "state", text: "state" }),
      ...texts.map((name) => make("th", { scope: "col", class: "text", text: name })),
      ...cells,
    );
  }
}

/** What comes first. @param {Worker} worker */
function trouble({ isStalled, isLeaking }) {
  return isStalled ? 2 : isLeaking ? 1 : 0;
}
