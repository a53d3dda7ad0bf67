// The types of the installed package, as programs see them that do not know the DOM.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { check, output } from "./checks.js";

/** Where the program finds each part in this project, and in the package. */
const SOURCES = {
  "../../host/index.ts": "utilization-monitor",
  "../../host/auto.ts": "utilization-monitor/auto",
  "../../host/http/server.ts": "utilization-monitor/http",
  "../../host/prometheus.ts": "utilization-monitor/prometheus",
  "../../host/opentelemetry/bridge.ts": "utilization-monitor/opentelemetry",
};

/** For TypeScript without Node's types and without checking ours: a program has no errors of its own. */
const SMALL_PROGRAM = `import { connect } from "utilization-monitor";
const { metrics } = connect({ name: "web", schema: { requests_total: "u64" } });
metrics.requests_total.increment();
`;

const COMMONJS_PROGRAM = `import monitor = require("utilization-monitor");
const core: monitor.Core = monitor.loadCore();
console.log(core.exports.version());
`;

const RESOLUTIONS = {
  nodenext: { module: "nodenext" },
  bundler: { module: "esnext", moduleResolution: "bundler" },
};

/**
 * Compiles a program that uses every public export, in all ways, and runs it.
 *
 * @param {string} root of the project.
 * @param {string} folder where the package is installed.
 * @param {Readonly<Record<string, string>>} compilers paths of `tsc` by version.
 * @param {Readonly<Record<string, string>>} nodes paths of `node` by name.
 */
export async function checkTypes(root, folder, compilers, nodes) {
  mkdirSync(join(folder, "node_modules/@types"), { recursive: true });
  symlinkSync(join(root, "node_modules/@types/node"), join(folder, "node_modules/@types/node"));
  writeFileSync(join(folder, "consumer.mts"), consumer(root));
  writeFileSync(join(folder, "consumer_require.cts"), COMMONJS_PROGRAM);
  writeFileSync(join(folder, "small.mts"), SMALL_PROGRAM);

  await check("types: the program uses every public export", () => {
    const entries = ["index", "auto", "prometheus", "opentelemetry/bridge"];
    const declarations = entries.map((entry) =>
      join(folder, `node_modules/utilization-monitor/dist/host/${entry}.d.ts`),
    );
    const names = declarations.flatMap((path) => exportedNames(readFileSync(path, "utf8")));
    const unused = names.filter((name) => !new RegExp(`\\b${name}\\b`).test(consumer(root)));
    assert.ok(names.length > 0, "no export is found");
    assert.deepEqual(unused, []);
    return `${names.length} of them`;
  });
  for (const [version, tsc] of Object.entries(compilers)) {
    for (const [resolution, options] of Object.entries(RESOLUTIONS)) {
      for (const skipLibCheck of [false, true]) {
        const name = `types: TypeScript ${version}, ${resolution}, skipLibCheck ${skipLibCheck}`;
        await check(name, () =>
          compile(tsc, folder, ["consumer.mts"], { ...options, skipLibCheck }),
        );
      }
    }
    const { nodenext } = RESOLUTIONS;
    await check(`types: TypeScript ${version}, nodenext, require and with the DOM`, () =>
      compile(tsc, folder, ["consumer.mts", "consumer_require.cts"], {
        ...nodenext,
        skipLibCheck: false,
        lib: ["es2022", "dom"],
      }),
    );
    await check(`types: TypeScript ${version}, nodenext, skipLibCheck, without @types/node`, () =>
      compile(tsc, folder, ["small.mts"], { ...nodenext, skipLibCheck: true, types: [] }),
    );
  }
  for (const [name, node] of Object.entries(nodes)) {
    await check(`the compiled program runs on ${name}`, async () => {
      await output(node, [join(folder, "out/consumer.mjs")], { cwd: folder });
      await output(node, [join(folder, "out/consumer_require.cjs")], { cwd: folder });
    });
  }
}

/** The program, with the name of the package in the place of its sources. */
function consumer(root) {
  let text = readFileSync(join(root, "test/package/consumer.ts"), "utf8");
  for (const [source, name] of Object.entries(SOURCES)) {
    assert.ok(text.includes(source), `${source} is not imported`);
    text = text.replace(source, name);
  }
  return text;
}

function exportedNames(declarations) {
  const lists = declarations.matchAll(/^export (?:type )?\{([^}]*)\}/gm);
  const listed = [...lists].flatMap(([, list]) => list.match(/\b(?!type\b)\w+/g));
  const own = declarations.matchAll(/^export (?:declare function|interface) (\w+)/gm);
  return [...listed, ...Array.from(own, ([, name]) => name)];
}

async function compile(tsc, folder, files, options) {
  const config = join(folder, "tsconfig.json");
  const compilerOptions = {
    target: "es2022",
    lib: ["es2022"],
    types: ["node"],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    outDir: "out",
    ...options,
  };
  writeFileSync(config, JSON.stringify({ compilerOptions, files }));
  try {
    await output(process.execPath, [tsc, "-p", config], { cwd: folder });
  } finally {
    rmSync(config);
  }
}
