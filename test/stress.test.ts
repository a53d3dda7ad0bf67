// The short form of what `npm run stress` does at length, and that its checks can fail.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Subject } from "./stress/subject.ts";
import { SUBJECTS } from "./stress/subjects.ts";
import { formatTrials } from "./stress/table.ts";
import { anySeed, attempt, isClean, type Trial } from "./stress/trial.ts";
import { slopeOf } from "./stress/vitals.ts";

const LIMIT = { timeout: 240_000 };

async function tryOut(subject: Subject, fault: boolean): Promise<{ trial: Trial; text: string }> {
  const seed = anySeed();
  const trial = await attempt(subject, { form: "short", seed, fault });
  return { trial, text: [`seed ${seed}`, ...trial.notes].join("\n") };
}

describe("stress, short form", () => {
  for (const subject of SUBJECTS) {
    it(`${subject.name} loses nothing`, { ...LIMIT, skip: subject.skip }, async (t) => {
      const { trial, text } = await tryOut(subject, false);
      t.diagnostic(`${trial.tried}, ${text.split("\n", 1)[0]}`);
      assert.ok(isClean(trial), `${formatTrials([trial])}\n${text}`);
    });
  }

  for (const subject of SUBJECTS.filter(({ hasFault }) => hasFault)) {
    it(`${subject.name} notices a deliberate fault`, {
      ...LIMIT,
      skip: subject.skip,
    }, async () => {
      const { trial, text } = await tryOut(subject, true);
      assert.ok(trial.lost > 0, text);
      assert.equal(trial.crashed, 0, text);
    });
  }

  it("the slope of a line is what it rises by, whatever is around it", () => {
    const moments = Array.from({ length: 100 }, (_, i) => i / 10);
    assert.equal(
      slopeOf(
        moments,
        moments.map(() => 7),
      ),
      0,
    );
    const saw = moments.map((moment, i) => 100 + 3 * moment + (i % 2 === 0 ? 5 : -5));
    assert.ok(Math.abs(slopeOf(moments, saw) - 3) < 0.1);
  });
});
