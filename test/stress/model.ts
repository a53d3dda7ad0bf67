// A real monitor against a model of a few lines, through any sequence of registrations, failures,
// departures, returns and restarts: samples, totals and segments are right after each step.

import { type ModelCounts, modelProperty } from "../support/model_commands.ts";
import { search } from "../support/search.ts";
import type { Form, Outcome, StressContext, Subject } from "./subject.ts";

const RUNS: Readonly<Record<Form, number>> = { short: 250, long: 10_000 };

export const subject: Subject = {
  name: "model",

  async run(form: Form, { folder, seed, fault, note }: StressContext): Promise<Outcome> {
    const counts: ModelCounts = { runs: 0, commands: 0 };
    const property = modelProperty(folder, { fault, counts });
    const { lost, crashed, failure } = await search(property, { count: RUNS[form], seed });
    if (failure !== null) note(failure);
    return { tried: `${counts.commands} steps in ${counts.runs} runs`, lost, crashed };
  },
};
