import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Form, Outcome, Subject } from "./subject.ts";

/** Where files are in memory on Linux: workers of files on disks wait for their write-back. */
const MEMORY = "/dev/shm";

/** What came of a subject. */
export interface Trial extends Outcome {
  readonly what: string;
  readonly seconds: number;
  readonly notes: readonly string[];
  readonly skipped: boolean;
}

export interface TrialOptions {
  readonly form: Form;
  readonly seed: number;
  readonly fault?: boolean | undefined;
  readonly minutes?: number | undefined;
}

/** A seed for a run that nobody has asked to repeat. */
export function anySeed(): number {
  return Math.floor(Math.random() * 2 ** 31);
}

/** Whether nothing was lost and nothing crashed. */
export function isClean({ lost, crashed }: Outcome): boolean {
  return lost === 0 && crashed === 0;
}

/** Runs a subject in a folder of its own. What it throws counts as a crash. */
export async function attempt(subject: Subject, options: TrialOptions): Promise<Trial> {
  const { name, skip } = subject;
  const { form, seed, fault = false, minutes = 30 } = options;
  if (skip) {
    return {
      what: name,
      tried: "-",
      lost: 0,
      crashed: 0,
      seconds: 0,
      notes: [skip],
      skipped: true,
    };
  }
  const notes: string[] = [];
  const folder = mkdtempSync(join(place(), "um-stress-"));
  const started = performance.now();
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", removeFolder);
  let outcome: Outcome;
  try {
    const context = { folder, seed, fault, minutes, note: (text: string) => notes.push(text) };
    outcome = await subject.run(form, context);
  } catch (error) {
    outcome = { tried: "broke off", lost: 0, crashed: 1 };
    notes.push((error as Error).stack ?? String(error));
  } finally {
    removeFolder();
    process.off("exit", removeFolder);
  }
  const seconds = (performance.now() - started) / 1000;
  return { ...outcome, what: name, seconds, notes, skipped: false };
}

function place(): string {
  try {
    accessSync(MEMORY, constants.W_OK);
    return MEMORY;
  } catch {
    return tmpdir();
  }
}
