import type { Child } from "../support/child.ts";
import type { Herd } from "./herd.ts";
import type { Ledger } from "./ledger.ts";
import type { Outcome } from "./subject.ts";

const KEPT_NOTES = 5;

/** What came of a run with workers and supervisors, with notes of what went wrong. */
export function report(
  tried: string,
  ledger: Ledger,
  herd: Herd,
  supervisors: readonly Child[],
  note: (text: string) => void,
): Outcome {
  const { samples, wrong } = ledger;
  note(`${samples} samples, ${wrong} of them wrong`);
  const told = supervisors.flatMap((supervisor) => supervisor.logged("WRONG: "));
  for (const line of [...told.slice(0, KEPT_NOTES), ...herd.problems.slice(0, KEPT_NOTES)]) {
    note(line);
  }
  return { tried, lost: wrong, crashed: herd.problems.length };
}
