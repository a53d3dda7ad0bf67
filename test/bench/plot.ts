// The curves as a drawing in SVG, for light and for dark pages. It needs no browser.

import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import type { Curve, Point } from "./curves.ts";

/** Each curve's colour on light and on dark pages. */
const LOOKS: Readonly<Record<Curve, { light: string; dark: string }>> = {
  "sample()": { light: "#0b62c4", dark: "#6cb2ff" },
  "best plain JavaScript": { light: "#a35200", dark: "#f0a35c" },
  "the same plan in C": { light: "#3d7a3d", dark: "#86c986" },
  "memcpy in C": { light: "#6b6b76", dark: "#a9a9b5" },
};
const CURVES = Object.keys(LOOKS) as Curve[];
const WIDTH = 760;
const HEIGHT = 440;

/** `note` says where the points come from. */
export function drawPlot(points: readonly Point[], note: string): string {
  const { document } = parseHTML("<html><body></body></html>");
  const last = (curve: Curve): Point[] => points.filter((point) => point.curve === curve).slice(-1);
  const position = { x: "workers", y: "nsPerWorker" } as const;
  const costs = points.map(({ nsPerWorker }) => nsPerWorker);
  const [lowest, highest] = [Math.min(...costs), Math.max(...costs)];
  const ticks = [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500].filter((tick) => {
    return tick > lowest * 0.8 && tick < highest * 1.25;
  });
  const svg = Plot.plot({
    document: document as unknown as Document,
    style: { fontFamily: "system-ui, sans-serif", fontSize: "13px" },
    width: WIDTH,
    height: HEIGHT,
    marginTop: 36,
    marginRight: 168,
    marginBottom: 52,
    marginLeft: 40,
    x: { type: "log", axis: null },
    y: { type: "log", axis: null, domain: [lowest * 0.8, highest * 1.25] },
    color: { domain: CURVES, range: CURVES.map((curve) => LOOKS[curve].light) },
    marks: [
      Plot.gridY(ticks),
      // As a text of their own: a format of a logarithmic scale leaves labels out.
      Plot.axisY(ticks, { ticks, text: String, tickSize: 0, label: null }),
      Plot.axisX({
        ticks: [100, 1000, 10_000, 100_000],
        text: (workers: number) => String(workers).replace(/\B(?=(\d{3})+$)/g, " "),
        label: null,
      }),
      Plot.lineY(points, {
        ...position,
        stroke: "curve",
        strokeWidth: ({ curve }: Point) => (curve === "sample()" ? 2.75 : 1.75),
      }),
      Plot.dot(points, { ...position, fill: "curve", r: 2.75 }),
      Plot.text(CURVES.flatMap(last), {
        ...position,
        text: "curve",
        fill: "curve",
        textAnchor: "start",
        dx: 10,
        fontWeight: 600,
      }),
      Plot.text(["ns per worker"], { frameAnchor: "top-left", dx: -28, dy: -24 }),
      Plot.text(["workers"], { frameAnchor: "bottom-right", dy: 46 }),
      Plot.text([note], { frameAnchor: "bottom-left", dy: 46, fillOpacity: 0.7 }),
    ],
  });
  const style = document.createElementNS(SVG, "style");
  style.textContent = STYLE;
  svg.prepend(style as unknown as Node);
  svg.setAttribute("xmlns", SVG);
  // Coordinates to a hundredth are exact enough.
  const rounded = (number: string): string => String(Number(Number(number).toFixed(2)));
  return `${svg.outerHTML.replace(/\d+\.\d{3,}/g, rounded)}\n`;
}

const SVG = "http://www.w3.org/2000/svg";

/** Colours are looked for by their attribute: not every viewer of SVG knows variables. */
const DARK = CURVES.map((curve) => {
  const { light, dark } = LOOKS[curve];
  return `  [stroke="${light}"] { stroke: ${dark} } [fill="${light}"] { fill: ${dark} }`;
});

const STYLE = `
svg { color: #24242b }
@media (prefers-color-scheme: dark) {
  svg { color: #d8d8df }
${DARK.join("\n")}
}
`;
