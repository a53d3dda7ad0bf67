// Random schemas over random segments, and calls in any order with any arguments, into the core:
// the answers are those of docs/abi.md, nothing traps, and no byte changes that a call does not own.

import fc from "fast-check";
import { loadCore } from "../../host/core.ts";
import { CALLS, Calls } from "../support/core_calls.ts";
import { coreBytes, faultyCore } from "../support/core_memory.ts";
import { PAIRS, Pairs } from "../support/core_pairs.ts";
import { search } from "../support/search.ts";
import type { Form, Outcome, StressContext, Subject } from "./subject.ts";

/** Cases of about six segments of one schema, and of about sixty calls. */
const CASES = {
  short: { pairs: 2000, calls: 200 },
  long: { pairs: 180_000, calls: 20_000 },
} as const;

export const subject: Subject = {
  name: "fuzz_core",

  async run(form: Form, { seed, fault, note }: StressContext): Promise<Outcome> {
    const pairs = new Pairs(fault ? faultyCore : () => loadCore(coreBytes()));
    const withVectors = new Pairs(() => loadCore(coreBytes("core.simd.wasm")));
    const calls = new Calls();
    const findings = [
      await search(
        fc.property(PAIRS, (one) => {
          pairs.run(one);
          withVectors.run(one);
        }),
        { count: CASES[form].pairs, seed },
      ),
      await search(
        fc.property(CALLS, (one) => calls.run(one)),
        { count: CASES[form].calls, seed },
      ),
    ];
    for (const { failure } of findings) if (failure !== null) note(failure);
    note(
      `${calls.refused} calls refused, ${calls.outOfMemory} out of memory; ` +
        `${pairs.watched} cases with all memory compared around each call`,
    );
    return {
      tried: `${pairs.count} (schema, segment) pairs in both builds, ${calls.count} calls in any order`,
      lost: findings.reduce((sum, { lost }) => sum + lost, 0),
      crashed: findings.reduce((sum, { crashed }) => sum + crashed, 0),
    };
  },
};
