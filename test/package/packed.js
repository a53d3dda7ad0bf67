// What is in the package, without installing it.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { check, output } from "./checks.js";

/** A quarter is documentation; a sixth is what a chart takes. */
const SIZE_LIMIT = 340_000;
/** Besides what `dist` has for each source. */
const OTHER_FILES =
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|build\/core(\.simd)?\.wasm|docs\/\w+\.md)$/;
const REQUIRED_FILES = [
  "package.json",
  "README.md",
  "LICENSE",
  "CHANGELOG.md",
  "build/core.wasm",
  "build/core.simd.wasm",
  "dist/host/index.js",
  "dist/host/index.d.ts",
  "dist/host/auto.js",
  "dist/host/auto.d.ts",
  "dist/host/cli/main.js",
  "dist/host/http/server.js",
];

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
    const expected = new Set(builtFiles(root));
    const strange = files.filter((name) => !expected.has(name) && !OTHER_FILES.test(name));
    const missing = [...expected, ...REQUIRED_FILES].filter((name) => !files.includes(name));
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

/** What the compiler makes of the sources. */
function builtFiles(root) {
  return ["host", "assembly/layout.ts", "build/core_bytes.ts", "build/page_files.ts"]
    .flatMap((path) => (path.endsWith(".ts") ? path : sourcesIn(root, path)))
    .flatMap((path) => {
      const [, stem, kind] = /^(.*)\.(c?)ts$/.exec(path);
      return [`dist/${stem}.${kind}js`, `dist/${stem}.d.${kind}ts`];
    });
}

function sourcesIn(root, folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((name) => /\.c?ts$/.test(name))
    .map((name) => posix.join(folder, name));
}

/** `import … from "name"`, `export … from "name"`, `import "name"` and `import("name")`. */
const REFERENCE = /^(?:import|export)\b[^;"'=]*\bfrom "([^"]+)"|\bimport[ (]"([^"]+)"/gm;

/** Modules that users would not find. */
function danglingReferences(root, files) {
  const { dependencies, imports = {} } = JSON.parse(readFileSync(join(root, "package.json")));
  const isFound = (name, from) => {
    if (name.startsWith("node:")) return true;
    if (name.startsWith("#")) return name in imports;
    if (!name.startsWith(".")) return name in dependencies;
    const target = posix.join(posix.dirname(from), name);
    // Declarations name the sources, and TypeScript finds the declarations beside.
    return files.includes(from.endsWith(".d.ts") ? target.replace(/\.ts$/, ".d.ts") : target);
  };
  const modules = files.filter((name) => /\.(js|d\.ts)$/.test(name));
  const references = modules.flatMap((from) =>
    [...readFileSync(join(root, from), "utf8").matchAll(REFERENCE)].map((match) => ({
      name: match[1] ?? match[2],
      from,
    })),
  );
  assert.ok(references.length >= modules.length, `only ${references.length} references are found`);
  return references
    .filter(({ name, from }) => !isFound(name, from))
    .map(({ name, from }) => `${name} in ${from}`);
}
