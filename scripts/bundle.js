// Makes `dist`, what is packed: few and small files, in which classes and functions keep their names for
// whoever inspects one or reads a stack. The program to read is its sources. Declarations are the
// compiler's; those that no export reaches are left out.

import { readdirSync, readFileSync, rmSync } from "node:fs";
import { build } from "esbuild";

const root = new URL("../", import.meta.url);
const dist = new URL("dist/", root);
const read = (url) => readFileSync(url, "utf8");
const { exports, bin } = JSON.parse(read(new URL("package.json", root)));

const HOST = {
  minify: true,
  keepNames: true,
  legalComments: "inline",
  target: "es2022",
  outbase: "host",
  outdir: "dist/host",
  platform: "node",
  logLevel: "warning",
};

const entries = [
  ...Object.values(exports),
  ...Object.values(bin).map((path) => ({ default: path })),
]
  .map(({ default: path }) => path?.replace(/^(\.\/)?dist\/(.*)\.js$/, "$2.ts"))
  .filter((path) => path !== undefined);
await build({
  ...HOST,
  // Also what other processes load, by the places in host/programs.ts.
  entryPoints: [
    ...new Set(entries),
    "host/programs.ts",
    "host/cli/demo_load.ts",
    "host/cli/demo_worker.ts",
    "host/runner/leaving.ts",
  ],
  bundle: true,
  splitting: true,
  format: "esm",
  packages: "external",
  // Beside programs.ts: what it shares with others finds the same places.
  chunkNames: "[name]-[hash]",
});
await build({
  ...HOST,
  entryPoints: ["host/auto_preload.cts", "host/runner/leaving_preload.cts"],
  format: "cjs",
  outExtension: { ".js": ".cjs" },
});
// The numbers of the core's interface, for examples that run in a browser.
await build({
  entryPoints: ["assembly/layout.ts", "host/field_type.ts"],
  bundle: true,
  format: "esm",
  outdir: "build",
  entryNames: "[name]",
  logLevel: "warning",
});

const reached = new Set();
for (const { types } of Object.values(exports))
  if (types !== undefined) reach(new URL(types, root));
for (const name of readdirSync(dist, { recursive: true })) {
  const file = new URL(name, dist);
  if (/\.d\.c?ts$/.test(name) && !reached.has(file.href)) rmSync(file);
}

/** Remembers a file of declarations, and all that it takes from others. */
function reach(file) {
  if (reached.has(file.href)) return;
  reached.add(file.href);
  for (const [, path] of read(file).matchAll(/(?:from |import\()"(\.[^"]+)\.(?:js|ts)"/g)) {
    reach(new URL(`${path}.d.ts`, file));
  }
}
