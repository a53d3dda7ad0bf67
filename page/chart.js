// A line over the last minutes. It is drawn only where it can be seen.

/** @import { Field } from "./model.js" */

import { clock, readableText } from "./format.js";
import { WINDOW } from "./model.js";

const HEIGHT = 80;
const AXIS_WIDTH = 50;
/** A new page shows a minute, so that something can be seen. */
const SHORTEST_WINDOW = 60;
/** Beyond the window of the browser, where a chart is drawn already. */
const MARGIN = "400px";
/** The cursors of all charts point at the same time. */
const SYNC_KEY = "time";
/** Steps between the figures beside a chart of bytes. */
const POWERS_OF_TWO = Array.from({ length: 63 }, (_, index) => 2 ** index);
/** Who does not want motion gets a new picture from time to time. */
const CALM_SECONDS = 10;

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

const seen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      charts.get(target)?.setVisible(isIntersecting);
    }
  },
  { rootMargin: MARGIN },
);
const sized = new ResizeObserver((entries) => {
  for (const { target } of entries) charts.get(target)?.resize();
});
/** @type {WeakMap<Element, Chart>} */
const charts = new WeakMap();

export class Chart {
  /** @type {uPlot | null} */
  #plot = null;
  /** @type {Field} */
  #field;
  #isVisible = false;
  #drawnAt = 0;
  #now = 0;
  #isPointedAt = false;
  /** @type {(text: string | null) => void} */
  #onPoint;
  #onScheme = () => {
    // Colours are taken from the page when a chart is made.
    this.#plot?.destroy();
    this.#plot = null;
    this.#draw();
  };

  /**
   * @param {HTMLElement} element
   * @param {Field} field
   * @param {(text: string | null) => void} onPoint told what is under the pointer.
   */
  constructor(element, field, onPoint) {
    this.element = element;
    this.#field = field;
    this.#onPoint = onPoint;
    charts.set(element, this);
    seen.observe(element);
    sized.observe(element);
    dark.addEventListener("change", this.#onScheme);
  }

  /** @param {Field} field @param {number} now */
  update(field, now) {
    this.#field = field;
    this.#now = now;
    if (calm.matches && Math.abs(now - this.#drawnAt) < CALM_SECONDS) return;
    this.#draw();
  }

  /** @param {boolean} isVisible */
  setVisible(isVisible) {
    this.#isVisible = isVisible;
    this.#draw();
  }

  resize() {
    const width = this.element.clientWidth;
    if (this.#plot !== null && width > 0) this.#plot.setSize({ width, height: HEIGHT });
  }

  destroy() {
    seen.unobserve(this.element);
    sized.unobserve(this.element);
    dark.removeEventListener("change", this.#onScheme);
    this.#plot?.destroy();
  }

  #draw() {
    if (!this.#isVisible || this.#now === 0 || this.element.clientWidth === 0) return;
    this.#drawnAt = this.#now;
    const { times, points } = this.#field;
    this.#plot ??= this.#make();
    this.#plot.setData([times, points], false);
    const past = this.#now - (times[0] ?? this.#now);
    const shown = Math.min(WINDOW, Math.max(SHORTEST_WINDOW, past));
    this.#plot.setScale("x", { min: this.#now - shown, max: this.#now });
    this.#describe(points);
  }

  /** The picture in words. @param {readonly (number | null)[]} points */
  #describe(points) {
    const { quantity, isCounter, name, parts } = this.#field;
    const what = parts === null ? name : `${name} p99`;
    const per = isCounter ? " per second" : "";
    const numbers = points.filter((point) => point !== null);
    const say = (/** @type {number} */ value) => readableText(value, quantity, per);
    const range =
      numbers.length === 0
        ? "no values yet"
        : `lowest ${say(Math.min(...numbers))}, highest ${say(Math.max(...numbers))}`;
    this.element.setAttribute("aria-label", `Chart of ${what}, last five minutes: ${range}`);
  }

  #make() {
    const { color, borderTopColor, outlineColor } = getComputedStyle(this.element);
    const { quantity, isCounter } = this.#field;
    const per = isCounter ? "/s" : "";
    const ratio = quantity === "ratio";
    const axis = {
      stroke: outlineColor,
      grid: { stroke: borderTopColor, width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    return new uPlot(
      {
        width: this.element.clientWidth,
        height: HEIGHT,
        padding: [8, 2, 4, 0],
        legend: { show: false },
        cursor: {
          y: false,
          drag: { x: false, y: false },
          points: { size: 6 },
          sync: { key: SYNC_KEY, setSeries: false },
        },
        scales: { x: { time: false }, y: { range: (_, min, max) => rangeOf(min, max, ratio) } },
        axes: [
          { show: false },
          {
            ...axis,
            size: AXIS_WIDTH,
            space: 28,
            gap: 6,
            ...(quantity === "bytes" && { incrs: POWERS_OF_TWO }),
            values: (_, splits) => splits.map((split) => readableText(split, quantity)),
          },
        ],
        series: [{}, { stroke: color, width: 1.5, fill: fade(color), points: { show: false } }],
        hooks: {
          setCursor: [
            ({ cursor: { idx }, data: [times, points] }) => {
              const time = idx == null ? undefined : times[idx];
              if (idx == null || time === undefined) {
                if (this.#isPointedAt) this.#onPoint(null);
                this.#isPointedAt = false;
                return;
              }
              this.#isPointedAt = true;
              const value = readableText(points?.[idx] ?? undefined, quantity, per);
              this.#onPoint(`${clock(time)}: ${value}`);
            },
          ],
        },
      },
      [[], []],
      this.element,
    );
  }
}

/**
 * From zero, where nothing is below it, to a little above the highest.
 *
 * @param {number | null} min
 * @param {number | null} max
 * @param {boolean} ratio
 * @returns {[number, number]}
 */
function rangeOf(min, max, ratio) {
  const top = Math.max(max ?? 0, 0);
  const bottom = Math.min(min ?? 0, 0);
  if (ratio) return [bottom, Math.max(1, top)];
  return top === bottom ? [0, 1] : [bottom * 1.1, top * 1.1];
}

/** The same colour, nearly transparent. @param {string} color as `rgb(1, 2, 3)`. */
function fade(color) {
  return color.replace(/^rgb\((.*)\)$/, "rgba($1, 0.1)");
}
