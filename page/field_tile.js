// One field of a service: its value in figures, and its past in a chart.

/** @import { Field } from "./model.js" */

import { Chart } from "./chart.js";
import { make, write } from "./dom.js";
import { counted, exact, readable, readableText } from "./format.js";

const AGGREGATES = new Map([
  ["min", "lowest of the workers"],
  ["max", "highest of the workers"],
  ["last", "of the newest worker"],
]);

/** A name that may be broken after an underscore. @param {string} name */
function breakable(name) {
  return name
    .split(/(?<=_)/)
    .flatMap((word) => [document.createTextNode(word), document.createElement("wbr")]);
}

export class FieldTile {
  #number = make("span", { class: "number" });
  #unit = make("span", { class: "unit" });
  #exact = make("p", { class: "exact" });
  #pointed = make("p", { class: "pointed", "aria-hidden": "true" });
  /** @type {Chart} */
  #chart;

  /** @param {Field} field */
  constructor(field) {
    this.field = field;
    const title = make("h3", {}, breakable(field.name));
    const element = make("div", { class: "chart", role: "img" });
    this.#chart = new Chart(element, field, (text) => {
      write(this.#pointed, text ?? "");
    });
    const now = make("p", { class: "now" }, [
      this.#number,
      document.createTextNode(" "),
      this.#unit,
    ]);
    this.element = make("li", { class: "tile" }, [title, now, this.#exact, element, this.#pointed]);
  }

  /** @param {number} now @param {number} workers */
  update(now, workers) {
    const { field } = this;
    const { help } = field.declaration ?? {};
    if (help !== undefined && this.element.title !== help) this.element.title = help;
    const { quantity, isCounter, isMean, parts, rate, value } = field;
    const { number, unit } = readable(isCounter ? rate : isMean ? field.shown : value, quantity);
    write(this.#number, number);
    write(this.#unit, isCounter ? `${unit}/s` : parts === null ? unit : `${unit} p99`.trim());
    write(this.#exact, isCounter ? `${exact(value)} in total` : this.#detail(workers));
    this.#chart.update(field, now);
  }

  /** @param {number} workers */
  #detail(workers) {
    const { value, quantity, isMean, aggregate, parts, quantiles, rate } = this.field;
    if (parts !== null) {
      const { p50, p90 } = quantiles;
      const words = [
        `p50 ${readableText(p50, quantity)}`,
        `p90 ${readableText(p90, quantity)}`,
        `${readableText(rate, "count")}/s`,
      ];
      // A line ends between them.
      return words.map((word) => word.replaceAll(" ", "\u00a0")).join(", ");
    }
    if (isMean) return `${exact(value)} of ${counted(workers, "worker")}`;
    const digits = quantity === "bytes" ? `${exact(value)} bytes` : "";
    return [digits, AGGREGATES.get(aggregate)].filter(Boolean).join(", ");
  }

  destroy() {
    this.#chart.destroy();
  }
}
