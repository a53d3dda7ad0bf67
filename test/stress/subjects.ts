import { subject as fuzzCore } from "./fuzz_core.ts";
import { subject as fuzzFrames } from "./fuzz_frames.ts";
import { subject as model } from "./model.ts";
import { subject as smallWorlds } from "./small_worlds.ts";
import { subject as soak } from "./soak.ts";
import type { Subject } from "./subject.ts";
import { subject as supervisorKills } from "./supervisor_kills.ts";
import { subject as tornReads } from "./torn_reads.ts";
import { subject as workerKills } from "./worker_kills.ts";

/** All that is put under stress, in the order in which it is run. */
export const SUBJECTS: readonly Subject[] = [
  workerKills,
  supervisorKills,
  tornReads,
  smallWorlds,
  model,
  fuzzFrames,
  fuzzCore,
  soak,
];
