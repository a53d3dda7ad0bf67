// Writes the page of the HTTP server, and the chart library that it uses, as a module of text, small and
// compressed: the page then needs no file and no permission at run time, and loads nothing from elsewhere.
// `--minify` makes it smaller still, by esbuild. That runs a program, so Deno's build does without.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname } from "node:path";
import process from "node:process";
import { brotliCompressSync } from "node:zlib";

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

const esbuild = process.argv.includes("--minify") ? await import("esbuild") : undefined;

function minified(text, loader) {
  if (esbuild === undefined || (loader !== "js" && loader !== "css")) return text;
  return esbuild.transformSync(text, {
    loader,
    minify: true,
    legalComments: "inline",
    target: "es2022",
  }).code;
}

const compact = files.map(([path, text, extension = extname(path)]) => [
  path,
  { type: TYPES[extension], text: minified(text, extension.slice(1)) },
]);
const compressed = brotliCompressSync(JSON.stringify(compact)).toString("base64");
writeFileSync(
  new URL("build/page_files.ts", root),
  `// Made from page/ and uPlot by scripts/embed_page.js: JSON of pairs of a path and its file.
export const PAGE_FILES_BROTLI: string =
  "${compressed}";
`,
);
