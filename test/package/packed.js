// What is in the package, without installing it.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { check, output } from "./checks.js";

const SIZE_LIMIT = 200_000;
/** Besides what the exports and the programs lead to. */
const TEXTS = ["README.md", "LICENSE", "CHANGELOG.md", "docs/abi.md"];

/**
 * Packs what is built, as it is: nothing is built here.
 *
 * @param {string} root of the project.
 * @param {string} folder where the package goes.
 * @returns {Promise<{tarball: string, size: number, files: string[]}>}
 */
export async function pack(root, folder) {
  for (const name of ["build/core.wasm", "dist/host/index.js"]) {
    if (!existsSync(join(root, name))) {
      throw new Error(`Cannot pack: ${name} is missing, run "npm run build"`);
    }
  }
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const packed = JSON.parse(await output("npm", args, { cwd: root }));
  // A list, and an object by name from npm 12 on.
  const [{ filename, size, files }] = Object.values(packed);
  return { tarball: join(folder, filename), size, files: files.map(({ path }) => path) };
}

/** The checks that need nothing but the packed files. */
export async function checkPacked(root, { tarball, size, files }) {
  await check(`packed size is at most ${SIZE_LIMIT} bytes`, () => {
    assert.ok(size <= SIZE_LIMIT, `${size} bytes`);
    return `${size} bytes, ${files.length} files`;
  });
  await check("files: what a user needs, no tests, no sources, nothing stale", () => {
    const reached = reachedFiles(root, files);
    const strange = files.filter((name) => !reached.has(name) && !TEXTS.includes(name));
    const missing = [...entries(root), ...TEXTS].filter((name) => !files.includes(name));
    assert.deepEqual({ strange, missing }, { strange: [], missing: [] });
  });
  await check("files: all that they refer to is packed, or a dependency", () => {
    const dangling = danglingReferences(root, files);
    assert.ok(dangling.length === 0, dangling.join(", "));
  });
  const tools = join(root, "test/tools/node_modules");
  await check("publint", async () => {
    const text = await output(process.execPath, [
      join(tools, "publint/src/cli.js"),
      "run",
      tarball,
      "--strict",
    ]);
    assert.match(text, /All good!/);
  });
  // The resolution of Node 10 knows no subpaths, and TypeScript 7 no longer that resolution.
  // Its TypeScript 5.6 does not know that Node can require() such a module, which is tried below; and
  // a binary has no types.
  await check("attw, except that it does not know require() of ES modules", async () => {
    await output(process.execPath, [
      join(tools, "@arethetypeswrong/cli/dist/index.js"),
      tarball,
      "--no-color",
      "--profile",
      "node16",
      "--ignore-rules",
      "cjs-resolves-to-esm",
      "--exclude-entrypoints",
      "./core.wasm",
      "./core.simd.wasm",
    ]);
  });
}

/** What users and programs of the package name; host/programs.ts has the places of the latter. */
function entries(root) {
  const { exports, bin } = JSON.parse(readFileSync(join(root, "package.json")));
  return [
    ...Object.values(exports).flatMap((target) =>
      typeof target === "string" ? target : Object.values(target),
    ),
    ...Object.values(bin),
    "dist/host/programs.js",
    "dist/host/cli/demo_worker.js",
    "dist/host/cli/demo_load.js",
    "dist/host/auto_preload.cjs",
    "dist/host/runner/leaving_preload.cjs",
    "dist/host/runner/leaving.js",
  ].map((path) => posix.normalize(path));
}

/** The entries, and the packed files that they refer to, and those that these refer to. */
function reachedFiles(root, files) {
  const reached = new Set();
  const pending = entries(root);
  while (pending.length > 0) {
    const file = pending.pop();
    if (reached.has(file) || !files.includes(file)) continue;
    reached.add(file);
    if (isModule(file)) pending.push(...referencesIn(root, file).map((name) => target(name, file)));
  }
  return reached;
}

const isModule = (name) => /\.(c?js|d\.c?ts)$/.test(name);

/** `import … from "name"`, `export … from "name"`, `import "name"` and `import("name")`. */
const IN_DECLARATIONS = /^(?:import|export)\b[^;"'=]*\bfrom "([^"]+)"|\bimport[ (]"([^"]+)"/gm;
/** The same without spaces, and `require("name")`; there is no comment that could say it as well. */
const IN_PROGRAMS = /\bfrom"([^"]+)"|\b(?:import\(?|require\()"([^"]+)"/g;

/** What one file refers to, as it is written there. */
function referencesIn(root, file) {
  const pattern = /\.d\.c?ts$/.test(file) ? IN_DECLARATIONS : IN_PROGRAMS;
  const matches = [...readFileSync(join(root, file), "utf8").matchAll(pattern)];
  return matches.map((match) => match[1] ?? match[2]);
}

/** The file that a relative reference leads to. */
function target(name, from) {
  const path = posix.join(posix.dirname(from), name);
  // Declarations name the sources, and TypeScript finds the declarations beside.
  return from.endsWith(".d.ts") ? path.replace(/\.ts$/, ".d.ts") : path;
}

/** References that users could not follow. */
function danglingReferences(root, files) {
  const { dependencies, imports = {} } = JSON.parse(readFileSync(join(root, "package.json")));
  const isFound = (name, from) => {
    if (name.startsWith("node:")) return true;
    if (name.startsWith("#")) return name in imports;
    return name.startsWith(".") ? files.includes(target(name, from)) : name in dependencies;
  };
  const modules = files.filter(isModule);
  const references = modules.flatMap((from) =>
    referencesIn(root, from).map((name) => ({ name, from })),
  );
  assert.ok(references.length >= modules.length, `only ${references.length} references are found`);
  return references
    .filter(({ name, from }) => !isFound(name, from))
    .map(({ name, from }) => `${name} in ${from}`);
}
