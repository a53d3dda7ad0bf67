// node --expose-gc update_rivals_process.js TASK: increments our eight metrics and another
// library's eight counters, without labels and, if told so, with one. Prints what each costs.

import { type Counters, openTelemetryCounters, promClientCounters } from "./counters.ts";
import { loadPromClient } from "./libraries.ts";
import { increment, openMappedMetrics, PASSES } from "./mapped_metrics.ts";
import { interleave, timed, warmUp } from "./rounds.ts";
import type { RivalFigures, RivalTask } from "./update_rivals.ts";
import type { UpdateTask } from "./update_segment.ts";

const task = JSON.parse(process.argv[2]!) as UpdateTask & RivalTask;
const { names, settings, rival, withLabels } = task;
const { observer, metrics } = openMappedMetrics(task);
const counters: Counters =
  rival === "OpenTelemetry"
    ? openTelemetryCounters(names)
    : promClientCounters(loadPromClient(rival), names);

const actions = {
  mapped: () => increment(metrics, PASSES),
  plain: () => counters.plain(PASSES),
  ...(withLabels && { labelled: () => counters.labelled(PASSES) }),
};
warmUp(settings, ...Object.values(actions));
const figures = await interleave(
  Object.entries(actions).map(([name, action]) => timed(name, action, settings)),
  settings,
);

// All are checked with the code as it was measured.
const count = 100_000;
for (const metric of metrics) metric.set(0);
const before = await counters.values();
increment(metrics, count * names.length);
counters.plain(count * names.length);
if (withLabels) counters.labelled(count * names.length);
const after = await counters.values();
observer.flush();

const perUpdate = (name: string): number[] => figures.get(name)!.map((ns) => ns / PASSES);
const grown = (first: number, end: number): number[] =>
  after.slice(first, end).map((value, i) => value - before[first + i]!);
const result: RivalFigures = {
  unmapped: observer.mapping === "none" ? observer.mappingReason : null,
  mapped: perUpdate("mapped"),
  plain: perUpdate("plain"),
  labelled: withLabels ? perUpdate("labelled") : null,
  count,
  others: {
    [rival]: grown(0, names.length),
    ...(withLabels && { [`${rival}, labelled`]: grown(names.length, names.length * 2) }),
  },
};
process.stdout.write(JSON.stringify(result));
