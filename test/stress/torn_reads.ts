// One process writes aligned fields of every type, another one samples them: no value is ever read
// of which one half is older than the other.

import { join } from "node:path";
import { FIELD_TYPES } from "../../host/field_type.ts";
import { silentLogger } from "../../host/log.ts";
import { Supervisor } from "../../host/supervisor.ts";
import { UtilizationMonitor } from "../../host/utilization_monitor.ts";
import type { Value } from "../reference.ts";
import { Child } from "../support/child.ts";
import { unmapped } from "../support/mapping.ts";
import { DEADLINE_MS } from "./herd.ts";
import { COUNTER, STEP, wholeValues } from "./patterns.ts";
import type { Subject } from "./subject.ts";

const SECONDS = { short: 2, long: 30 } as const;
/** Samples from one turn of the event loop to the next. */
const SAMPLES_PER_TURN = 1000;
/** Different values of a field that must have been read, or the check could not fail. */
const DIFFERENT = 20;
const SERVICE = "torn";

/** What was read of a field. */
interface Sight {
  isWhole(value: Value): boolean;
  readonly values: Set<Value>;
  torn: number;
}

export const subject: Subject = {
  name: "torn_reads",
  skip: unmapped,
  hasFault: true,
  async run(form, { folder, fault, note }) {
    const socket = join(folder, "a.ipc");
    const monitor = new UtilizationMonitor({ path: join(folder, "a.shm"), log: silentLogger });
    const supervisor = await Supervisor.listen({ socket, monitors: [monitor], log: silentLogger });
    const writer = new Child("stress_writer");
    const sights = new Map<string, Sight>(
      FIELD_TYPES.map((type) => {
        const whole = new Set(wholeValues(type));
        return [type, { isWhole: (value) => whole.has(value), values: new Set(), torn: 0 }];
      }),
    );
    const isMultiple = (value: Value): boolean => BigInt(value) % BigInt(STEP) === 0n;
    sights.set(COUNTER, { isWhole: isMultiple, values: new Set(), torn: 0 });
    const look = (data: Readonly<Record<string, Value | null>>): void => {
      for (const [field, sight] of sights) {
        const value = data[field]!;
        if (!sight.isWhole(value)) sight.torn++;
        else if (sight.values.size < DIFFERENT) sight.values.add(value);
      }
    };
    let samples = 0;
    try {
      await writer.ask("start", { socket, halves: fault, deadlineMs: DEADLINE_MS });
      const end = performance.now() + SECONDS[form] * 1000;
      while (performance.now() < end) {
        // By turns the two ways to read: the sum of one worker, and the worker itself.
        for (let i = 0; i < SAMPLES_PER_TURN; i += 2) {
          look(monitor.sample({ bigint: true })[SERVICE]!);
          look(monitor.sampleByWorker({ bigint: true })[0]!.data);
        }
        samples += SAMPLES_PER_TURN;
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      await writer.kill();
      await supervisor.close();
    }
    let lost = 0;
    for (const [field, { values, torn }] of sights) {
      lost += torn;
      if (torn > 0) note(`${torn} values of ${field} were torn`);
      if (torn === 0 && values.size < DIFFERENT) {
        throw new Error(`Cannot tell torn values of ${field}: it had ${values.size} values`);
      }
    }
    const tried = `${samples} samples of ${FIELD_TYPES.length} types and a counter in ${SECONDS[form]} s`;
    return { tried, lost, crashed: 0 };
  },
};
