import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { projectFile } from "./data.ts";
import { vectorFiles } from "./vectors/files.ts";

interface Runner {
  runVectors(
    text: string,
    instantiate: () => WebAssembly.Exports,
  ): { passed: number; total: number; failures: string[] };
}

const runner = projectFile("examples/hosts/vectors.js").href;
const { runVectors } = (await import(runner)) as Runner;
/** The reference, and the build that sums with vectors. */
const BUILDS = ["core.wasm", "core.simd.wasm"] as const;

function compiled(build: (typeof BUILDS)[number]): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(projectFile(`build/${build}`)));
}

const module = compiled("core.wasm");

function run(text: string, built = module): ReturnType<Runner["runVectors"]> {
  return runVectors(text, () => new WebAssembly.Instance(built, {}).exports);
}

const folder = projectFile("test/vectors/");
const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));
const contents = new Map(names.map((name) => [name, readFileSync(new URL(name, folder), "utf8")]));

describe("the conformance vectors", () => {
  it("are what make.ts writes now", () => {
    for (const [name, text] of vectorFiles()) assert.ok(contents.get(name) === text, name);
  });

  for (const [name, text] of contents) {
    for (const build of BUILDS) {
      it(`hold for ${build}: ${name}`, () => {
        const { passed, total, failures } = run(text, compiled(build));
        assert.deepEqual(failures, []);
        assert.equal(passed, total);
        assert.equal(total, text.match(/^case /gm)?.length);
      });
    }
  }

  it("call every export", () => {
    const called = new Set([...contents.values()].join("").match(/(?<=^(call|let \w+) )\w+/gm));
    for (const { name, kind } of WebAssembly.Module.exports(module)) {
      if (kind === "function") assert.ok(called.has(name), name);
    }
  });

  it("are ASCII, at most 700 KB, and have a check in each case", () => {
    const text = [...contents.values()].join("");
    assert.match(text, /^[\n -~]*$/);
    assert.ok(text.length <= 700_000, `${text.length} bytes`);
    for (const [name, ...statements] of text
      .split(/^case /m)
      .slice(1)
      .map((body) => body.split("\n"))) {
      assert.ok(
        statements.some((line) => / = |^peek |^result /.test(line)),
        name,
      );
    }
  });
});

describe("runVectors()", () => {
  const start = "case broken\ncall init 64 = 0\nlet stage stage\nput $stage 05\n";

  it("reports a wrong expectation of each kind, with its line and what came", () => {
    const schema = "call accumulator 0 = 0\nlet rows rows 1\nput $rows 100000000000000000000000\n";
    const negativeZero = `${schema}call group 1 = 0\nput $stage+7 80\nput $stage 00\ncall decode 0\n`;
    for (const [body, line, wrong] of [
      ["call capacity = 1\n", 5, "wanted 1, got 0"],
      ["peek $stage 6\n", 5, "wanted 6, got 5"],
      [`${negativeZero}result 0 2 -0 0 0\n`, 12, "kind wanted 2, got 3"],
      [`${negativeZero}result 0 3 0 0 0\n`, 12, "value wanted 0, got -0"],
      [`${negativeZero}result 0 3 -0 1 0\n`, 12, "low wanted 1, got 0"],
      [`${negativeZero}result 0 3 -0 0 -1\n`, 12, "high wanted -1, got 0"],
      ["call nothing = 1\n", 5, "is not a function"],
      ["put $nowhere 00\n", 5, 'no address is kept as "nowhere"'],
    ] as const) {
      const { passed, total, failures } = run(`${start}${body}`);
      assert.deepEqual([passed, total, failures.length], [0, 1, 1], body);
      assert.ok(failures[0]!.startsWith(`line ${line} of broken: `), failures[0]);
      assert.ok(failures[0]!.includes(wrong), failures[0]);
    }
    assert.deepEqual(run(`${start}${negativeZero}result 0 3 -0 0 0\n`).failures, []);
  });

  it("gives each case a fresh instance, and goes on after one that failed", () => {
    const text = `${start}call grow 4 = 1\n\n# again\n${start}call capacity = 0\n`;
    const { passed, total } = run(text);
    assert.deepEqual([passed, total], [1, 2]);
  });

  it("refuses what is no vector file", () => {
    for (const text of ["call init 64 = 0\n", "case one\nexpect 5\n"]) {
      assert.throws(() => run(text), SyntaxError);
    }
  });
});
