/** How much is done: a few seconds for each test run, or as much as it takes to believe it. */
export type Form = "short" | "long";

/** What a subject works with. */
export interface StressContext {
  /** An empty folder of the subject's own, on a memory file system where there is one. */
  readonly folder: string;
  /** Everything random follows from it. */
  readonly seed: number;
  /** Whether the deliberate fault of `--fault` is built in: then the run has to fail. */
  readonly fault: boolean;
  /** How long a soak lasts in its long form. */
  readonly minutes: number;
  /** Tells what is worth knowing beside the table: seeds, figures, what was wrong. */
  note(text: string): void;
}

export interface Outcome {
  /** What was tried, in words: "200 deaths". */
  readonly tried: string;
  /** How often something was lost, counted twice, torn or otherwise wrong. */
  readonly lost: number;
  /** How many processes or calls ended that should not have. */
  readonly crashed: number;
}

/** One thing that is put under stress. It leaves no process and no timer behind, whatever happens. */
export interface Subject {
  readonly name: string;
  /** Why it cannot be run here, if it cannot: it is shown as skipped, which is no failure. */
  readonly skip?: string | false | undefined;
  /** Whether it builds in the deliberate fault of `--fault`, and then has to fail. */
  readonly hasFault?: boolean | undefined;
  run(form: Form, context: StressContext): Promise<Outcome>;
}
