// npm run stress [-- NAME...] [--short] [--seed N] [--minutes N] [--fault]: what docs/reliability.md
// describes. Prints a table, and ends with 0 only if all of it is zeros. With --fault something is
// wrong on purpose, and that has to show.

import { parseArgs } from "node:util";
import type { Subject } from "./subject.ts";
import { SUBJECTS } from "./subjects.ts";
import { formatTrials } from "./table.ts";
import { anySeed, attempt, isClean, type Trial } from "./trial.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    short: { type: "boolean" },
    seed: { type: "string" },
    minutes: { type: "string" },
    fault: { type: "boolean" },
  },
});
const form = values.short ? "short" : "long";
const seed = values.seed === undefined ? anySeed() : number("seed", values.seed);
const minutes = values.minutes === undefined ? undefined : number("minutes", values.minutes);
const trials: Trial[] = [];
// What is being run ends with this process, and its folder is removed.
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));

for (const subject of chosen(positionals)) {
  console.error(`${subject.name}: ${form} form, seed ${seed}`);
  const trial = await attempt(subject, { form, seed, fault: values.fault, minutes });
  for (const note of trial.notes) console.error(`  ${note}`);
  trials.push(trial);
}
console.log(`${formatTrials(trials)}\n\nSeed ${seed}.`);
process.exit(trials.every(isClean) ? 0 : 1);

function chosen(names: readonly string[]): readonly Subject[] {
  if (names.length === 0) return SUBJECTS.filter(({ hasFault }) => hasFault || !values.fault);
  return names.map((name) => {
    const subject = SUBJECTS.find((one) => one.name === name);
    if (subject !== undefined) return subject;
    return refuse(`no subject "${name}": ${SUBJECTS.map((one) => one.name).join(", ")}`);
  });
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  return refuse(`--${name} takes a number, not "${text}"`);
}

function refuse(problem: string): never {
  console.error(`Cannot stress: ${problem}`);
  process.exit(2);
}
