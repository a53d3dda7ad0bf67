// One service: its name, how many workers it has, its fields, and its workers on request.

/** @import { Field, Service } from "./model.js" */

import { arrange, make, write } from "./dom.js";
import { FieldTile } from "./field_tile.js";
import { counted } from "./format.js";
import { WorkerTable } from "./worker_table.js";

export class ServiceCard {
  #count = make("p", { class: "count" });
  #badge = make("p", { class: "badge", hidden: "" });
  #warning = make("p", { class: "badge warning", hidden: "" });
  #said = make("p", { class: "said", hidden: "" });
  #tiles = make("ul", { class: "tiles" });
  /** @type {Map<Field, FieldTile>} */
  #fields = new Map();
  #stalled;
  #leaking;
  #all;
  #details = make("details");
  #summary = make("summary", { text: "Each worker" });
  /** @type {() => void} */
  #onToggle;

  /** @param {string} id @param {Service} service @param {() => void} onToggle */
  constructor(id, { name }, onToggle) {
    this.id = id;
    this.#onToggle = onToggle;
    this.#stalled = new WorkerTable(`Stalled workers of ${name}`);
    this.#leaking = new WorkerTable(`Leaking workers of ${name}`);
    this.#all = new WorkerTable(`Workers of ${name}`);
    this.#stalled.element.hidden = true;
    this.#leaking.element.hidden = true;
    this.#details.append(this.#summary, this.#all.element);
    this.#details.addEventListener("toggle", () => this.#onToggle());
    const title = make("h2", { id: `${id}-name`, text: name });
    const head = make("div", { class: "head" }, [
      title,
      this.#count,
      this.#badge,
      this.#warning,
      this.#said,
    ]);
    const attributes = { class: "service", id, tabindex: "-1", "aria-labelledby": `${id}-name` };
    this.element = make("section", attributes, [
      head,
      this.#stalled.element,
      this.#leaking.element,
      this.#tiles,
      this.#details,
    ]);
  }

  /** Whether its workers are shown. */
  get isOpen() {
    return this.#details.open;
  }

  /** @param {Service} service @param {number} now */
  update(service, now) {
    const { workerCount, stalledCount, leakingCount, text, fields, workers } = service;
    write(this.#count, counted(workerCount, "worker"));
    write(this.#badge, stalledCount === 0 ? "" : `${stalledCount} stalled`);
    this.#badge.hidden = stalledCount === 0;
    write(this.#warning, leakingCount === 0 ? "" : `${leakingCount} leaking`);
    this.#warning.hidden = leakingCount === 0;
    const said = Object.entries(text).map((words) => words.join(" "));
    write(this.#said, said.join(", "));
    this.#said.hidden = said.length === 0;
    this.element.classList.toggle("stalled", stalledCount > 0);
    this.element.classList.toggle("leaking", leakingCount > 0);
    this.element.classList.toggle("empty", workerCount === 0);
    this.#updateTiles(fields, now, workerCount);

    this.#details.hidden = workerCount === 0;
    if (this.isOpen) this.#all.update(workers, service);
    // Those that are shown below need not be shown twice.
    const stalled = this.isOpen ? [] : workers.filter(({ isStalled }) => isStalled);
    this.#stalled.element.hidden = stalled.length === 0;
    this.#stalled.update(stalled, service);
    const leaking = this.isOpen
      ? []
      : workers.filter(({ isLeaking, isStalled }) => isLeaking && !isStalled);
    this.#leaking.element.hidden = leaking.length === 0;
    this.#leaking.update(leaking, service);
  }

  /** @param {ReadonlyMap<string, Field>} fields @param {number} now @param {number} workerCount */
  #updateTiles(fields, now, workerCount) {
    /** @type {Map<Field, FieldTile>} */
    const tiles = new Map();
    for (const field of fields.values()) {
      const tile = this.#fields.get(field) ?? new FieldTile(field);
      tiles.set(field, tile);
      tile.update(now, workerCount);
    }
    for (const [field, tile] of this.#fields) if (!tiles.has(field)) tile.destroy();
    this.#fields = tiles;
    arrange(
      this.#tiles,
      [...tiles.values()].map(({ element }) => element),
    );
  }

  destroy() {
    for (const tile of this.#fields.values()) tile.destroy();
    this.element.remove();
  }
}
