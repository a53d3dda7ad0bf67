// Runs the whole suite on every runtime: `npm run test:matrix [NAME...]`. Node 20 runs what tsc
// made of it, the others the sources.

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { program, version } from "./programs.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** One runtime may take so long, in ms. */
const LIMIT_MS = 400_000;

const files = (folder, extension) =>
  readdirSync(new URL(`../../${folder}`, import.meta.url))
    .filter((name) => name.endsWith(`.test.${extension}`))
    .map((name) => `${folder}/${name}`);

const node = (name, folder, extension) => ({
  name,
  arguments: () => [
    "--test",
    "--test-concurrency=4",
    "--test-reporter=tap",
    ...files(folder, extension),
  ],
  count: countTap,
});

const deno = (name, permissions, environment) => ({
  name,
  program: "deno",
  environment,
  arguments: () => ["test", "--no-check", ...permissions, ...files("test", "ts")],
  count: countDeno,
});

const RUNS = [
  node("node20", "dist-test/test", "js"),
  node("node22", "test", "ts"),
  node("node24", "test", "ts"),
  node("node26", "test", "ts"),
  deno("deno", ["-A"]),
  deno("deno, no mapping", ["-A"], { UTILIZATION_MAPPING: "none" }),
];

/** The last lines of TAP: `# pass 12`. */
function countTap(text) {
  const number = (word) => Number(new RegExp(`^# ${word} (\\d+)$`, "m").exec(text)?.[1]);
  const skipped = [...text.matchAll(/^ *ok .* # SKIP(.*)$/gm)].map(([line]) => line.trim());
  return {
    passed: number("pass"),
    failed: number("fail") + number("cancelled"),
    skipped: number("skipped"),
    reasons: skipped,
  };
}

/** Deno counts a test of ours as a test, or as a step of one: `ok | 2 passed (3 steps) | 0 failed`. */
function countDeno(text) {
  const last = /^(?:ok|FAILED) \| (.*) \(.*\)$/m.exec(text)?.[1] ?? "";
  const number = (word) => {
    const [, tests = 0, steps = 0] =
      new RegExp(`(\\d+) ${word}(?: \\((\\d+) steps?\\))?`).exec(last) ?? [];
    return Number(tests) + Number(steps);
  };
  const skipped = [...text.matchAll(/^.* \.\.\. .*ignored.*$/gm)].map(([line]) => line.trim());
  return {
    passed: last === "" ? Number.NaN : number("passed"),
    failed: number("failed"),
    skipped: number("ignored"),
    reasons: skipped,
  };
}

async function run({ name, environment, program: binary = name, arguments: make, count }) {
  const started = performance.now();
  // A mapping or a supervisor of the caller must not leak into the tests.
  const { UTILIZATION_MAPPING, UTILIZATION_SUPERVISOR, UTILIZATION_DIR, ...rest } = process.env;
  const child = spawn(program(binary), make(), {
    cwd: ROOT,
    env: { ...rest, NO_COLOR: "1", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (piece) => {
      text += piece;
    });
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const code = await new Promise((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  const seconds = Math.round((performance.now() - started) / 1000);
  const counts = count(text);
  const green = code === 0 && counts.failed === 0 && counts.passed > 0;
  return { ...counts, seconds, green, text };
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !RUNS.some((run) => run.name === name));
if (unknown.length > 0) {
  const names = RUNS.map((run) => `"${run.name}"`).join(", ");
  console.error(`Cannot test on "${unknown[0]}": not one of ${names}`);
  process.exit(2);
}

const columns = [18, 10, 8, 8, 8, 8];
const row = (cells) =>
  cells
    .map((cell, i) => String(cell).padEnd(columns[i]))
    .join("")
    .trimEnd();
console.log(row(["runtime", "version", "passed", "failed", "skipped", "seconds"]));
let allGreen = true;
for (const each of RUNS) {
  if (wanted.length > 0 && !wanted.includes(each.name)) continue;
  const { passed, failed, skipped, seconds, green, reasons, text } = await run(each);
  console.log(
    row([each.name, version(each.program ?? each.name), passed, failed, skipped, seconds]),
  );
  for (const reason of reasons) console.log(`    skipped: ${reason}`);
  if (green) continue;
  allGreen = false;
  console.log(text);
}
process.exitCode = allGreen ? 0 : 1;
