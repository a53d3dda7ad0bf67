// The package as its users get it: packed, installed where there is no compiler, run, and compiled
// against. `npm run test:package`, after `npm run build`; it prints a line per check and exits with 1
// when one failed.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { program } from "../tools/programs.js";
import { check, output } from "./checks.js";
import { checkFirstMinute } from "./first_minute.js";
import { bareEnvironment, Installation } from "./installation.js";
import { checkPacked, pack } from "./packed.js";
import { firstExample } from "./readme.js";
import { checkTypes } from "./types.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { name } = JSON.parse(readFileSync(join(root, "package.json")));
const MAX_REQUIRED_PACKAGES = 3;
/** The first npm that runs no install scripts of dependencies, and TypeScript's last in JavaScript. */
const TOOLS = ["npm@12.2.0", "typescript@5.9"];

const folder = realpathSync(mkdtempSync(join(tmpdir(), "package-")));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
await main();

async function main() {
  let packed;
  const isPacked = await check("npm pack", async () => {
    packed = await pack(root, folder);
  });
  if (!isPacked) return;
  await checkPacked(root, packed);

  const nodes = { "Node 20": program("node20"), "Node 24": program("node24") };
  const tools = join(folder, "tools");
  await output("npm", ["install", "--no-audit", "--no-fund", "--prefix", tools, ...TOOLS]);
  const npm = npmOfThisMachine();
  const npm12 = join(tools, "node_modules/npm/bin/npm-cli.js");
  const environmentOf = (node, cli) =>
    bareEnvironment(join(folder, `bin-${process.hrtime.bigint()}`), node, cli);
  const withNpm = environmentOf(process.execPath, npm);
  const withNpm12 = environmentOf(nodes["Node 24"], npm12);
  const runtimes = Object.entries(nodes).map(([label, node]) => [label, environmentOf(node, npm)]);

  await check("there is no compiler on the PATH", async () => {
    const tools = "gcc g++ cc c++ clang clang++ make python python3";
    const find = `for tool in ${tools}; do command -v $tool; done; command -v node`;
    for (const env of [withNpm, withNpm12]) {
      const found = (await output("sh", ["-c", find], { env })).trim();
      assert.equal(found, join(env.PATH, "node"));
    }
  });
  const ways = [
    ["npm install", [packed.tarball], withNpm, "koffi"],
    ["npm install --ignore-scripts", [packed.tarball, "--ignore-scripts"], withNpm, "koffi"],
    ["npm 12, with an mmap-io that is not built", [packed.tarball, "mmap-io"], withNpm12, "koffi"],
    ["npm install --omit=optional", [packed.tarball, "--omit=optional"], withNpm, "none"],
  ];
  const installations = [];
  for (const [what, args, environment, mapping] of ways) {
    const installation = new Installation(join(folder, `app-${installations.length}`));
    installations.push(installation);
    const isInstalled = await check(what, async () => {
      await installation.install(args, environment);
      const modules = join(installation.folder, "node_modules");
      assert.ok(existsSync(join(modules, name, "package.json")), "the package is missing");
      assert.equal(existsSync(join(modules, "koffi")), mapping === "koffi", "koffi");
      assert.equal(existsSync(join(modules, "mmap-io")), args.includes("mmap-io"), "mmap-io");
      assert.ok(!existsSync(join(modules, "mmap-io/build")), "mmap-io is built");
    });
    if (!isInstalled) continue;
    for (const [label, runtime] of runtimes) {
      await check(`${what}: README's example, import and require, on ${label}`, () =>
        installation.runExample(firstExample(root), runtime, mapping),
      );
    }
  }
  const [first, last] = [installations.at(0), installations.at(-1)];
  await check("README's example, bundled as CommonJS", () => {
    const example = firstExample(root);
    return first.runExample(example, withNpm, "koffi", bundled(example.worker, first.folder));
  });
  for (const [label, runtime] of runtimes) {
    await check(`a server is run, loaded and looked at, on ${label}`, () =>
      checkFirstMinute(first.folder, runtime),
    );
  }
  await check(`at most ${MAX_REQUIRED_PACKAGES} required packages at run time`, async () => {
    const args = ["ls", "--all", "--json"];
    const tree = JSON.parse(await output("npm", args, { cwd: last.folder, env: withNpm }));
    const required = packagesOf(tree).filter((dependency) => dependency !== name);
    assert.ok(required.length > 0, "none is found");
    assert.ok(required.length <= MAX_REQUIRED_PACKAGES, required.join(", "));
    return required.join(", ");
  });
  const { version } = JSON.parse(readFileSync(join(root, "node_modules/typescript/package.json")));
  const compilers = {
    5.9: join(tools, "node_modules/typescript/bin/tsc"),
    [version]: join(root, "node_modules/typescript/bin/tsc"),
  };
  await checkTypes(root, first.folder, compilers, nodes);
}

/** A worker that is instrumented too, and all that it imports from `folder`, in one file. */
function bundled(worker, folder) {
  const { outputFiles } = buildSync({
    stdin: { contents: `import "${name}/auto";\n${worker}`, resolveDir: folder },
    bundle: true,
    format: "cjs",
    platform: "node",
    write: false,
    // Of import.meta, which is empty there.
    logLevel: "error",
  });
  return outputFiles[0].text;
}

/** The npm that runs this, or else the one on the PATH. */
function npmOfThisMachine() {
  const { npm_execpath, PATH = "" } = process.env;
  if (npm_execpath?.endsWith("npm-cli.js")) return npm_execpath;
  const found = PATH.split(delimiter)
    .map((path) => join(path, "npm"))
    .find(existsSync);
  if (found === undefined) throw new Error("Cannot find npm: it is not on the PATH");
  return realpathSync(found);
}

/** Names of the packages below this one in an answer of `npm ls`. Those left out have no version. */
function packagesOf({ dependencies = {} }) {
  const names = Object.entries(dependencies)
    .filter(([, { version }]) => version !== undefined)
    .flatMap(([name, tree]) => [name, ...packagesOf(tree)]);
  return [...new Set(names)];
}
