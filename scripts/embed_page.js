// Writes the page of the HTTP server, and the chart library that it uses, as a module of text: the
// page then needs no file and no permission at run time, and loads nothing from elsewhere.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname } from "node:path";

const root = new URL("../", import.meta.url);
const read = (path) => readFileSync(new URL(path, root), "utf8");

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Whoever gets the library gets its licence with it. */
function withLicence(path) {
  const licence = read("node_modules/uplot/LICENSE").trim();
  if (licence.includes("*/")) throw new Error("The licence of uPlot cannot be a comment");
  return `/*!\n${licence}\n*/\n${read(path)}`;
}

const files = [
  ["/page/uplot.js", withLicence("node_modules/uplot/dist/uPlot.iife.min.js")],
  ["/page/uplot.css", withLicence("node_modules/uplot/dist/uPlot.min.css")],
];
for (const name of readdirSync(new URL("page/", root)).sort()) {
  const isIndex = name === "index.html";
  if (!(extname(name) in TYPES)) continue;
  files.push([
    isIndex ? "/" : `/page/${name}`,
    read(`page/${name}`),
    isIndex ? ".html" : undefined,
  ]);
}

const entries = files.map(([path, text, extension = extname(path)]) => {
  const file = { type: TYPES[extension], text };
  return `  [${JSON.stringify(path)}, ${JSON.stringify(file)}],\n`;
});
writeFileSync(
  new URL("build/page_files.ts", root),
  `// Made from page/ and uPlot by scripts/embed_page.js.
export const PAGE_FILES: ReadonlyMap<string, { readonly type: string; readonly text: string }> =
  new Map([
${entries.join("")}]);
`,
);
