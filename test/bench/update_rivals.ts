// One update of ours against those of others. Each library has a process of its own: two of them
// in one would make the calls of both polymorphic. prom-client keeps values by the text of their
// labels: as long as that is always the same, V8 knows where the value is, and a counter without
// labels costs a fraction. Its default metrics have labels, so that most processes pay the whole.

import { loadPromClient, TITLES } from "./libraries.ts";
import { progress, type Results } from "./results.ts";
import { makeRow, type Rival, type Target } from "./row.ts";
import type { Settings } from "./settings.ts";
import { type Counted, measureInProcess, type Segment } from "./update_segment.ts";

/** What is compared, with its targets: without labels, and with one. */
interface Competition {
  readonly title: string;
  /** What the library calls a label. */
  readonly label: string;
  readonly types: readonly Segment["type"][];
  /** Whether one label anywhere makes its counters without labels slower as well. */
  readonly suffersFromLabels?: boolean;
  readonly plain?: Target;
  readonly labelled?: Target;
}

/** What our metrics cost by type is in the rows of the first: the others are compared with one. */
const COMPETITIONS = {
  "prom-client": {
    title: TITLES["prom-client"],
    label: "label",
    types: ["u64", "f64"],
    suffersFromLabels: true,
    plain: { timesFaster: 5 },
    labelled: { timesFaster: 30 },
  },
  "@prometheus-io/client": {
    title: TITLES["@prometheus-io/client"],
    label: "label",
    types: ["u64"],
    suffersFromLabels: true,
  },
  OpenTelemetry: { title: "OpenTelemetry SDK 2", label: "attribute", types: ["u64"] },
} as const satisfies Record<string, Competition>;

export type RivalName = keyof typeof COMPETITIONS;

/** What update_rivals_process.ts is told besides its segment. */
export interface RivalTask {
  readonly rival: RivalName;
  /** Whether counters with a label are incremented in that process as well. */
  readonly withLabels: boolean;
}

/** What it prints: nanoseconds of an update in each round. */
export interface RivalFigures extends Counted {
  readonly mapped: readonly number[];
  readonly plain: readonly number[];
  /** Null where there are none. */
  readonly labelled: readonly number[] | null;
}

export function measureUpdateRivals(
  type: Segment["type"],
  folder: string,
  settings: Settings,
  results: Results,
): void {
  for (const [name, competition] of Object.entries<Competition>(COMPETITIONS)) {
    if (!competition.types.includes(type)) continue;
    const rival = name as RivalName;
    try {
      if (rival !== "OpenTelemetry") loadPromClient(rival);
    } catch (error) {
      results.skip(`increment ${type}, against ${name}`, (error as Error).message);
      continue;
    }
    progress(`updates: ${type}, against ${name}`);
    const measure = (withLabels: boolean): RivalFigures => {
      const program = "./update_rivals_process.js";
      const task: RivalTask = { rival, withLabels };
      return measureInProcess<RivalFigures>(program, type, folder, settings, results, task);
    };
    report(`increment ${type}, against ${name}`, competition, measure(true), results);
    if (competition.suffersFromLabels !== true || type !== "u64") continue;
    const { mapped, plain } = measure(false);
    results.add(
      makeRow(`increment ${type}, against ${name}, no label in the process`, "ns", mapped, {
        rival: { name: `${competition.title}, 8 counters in turn`, figures: plain },
        faster: true,
      }),
    );
  }
}

function report(
  row: string,
  { title, label, plain, labelled }: Competition,
  figures: RivalFigures,
  results: Results,
): void {
  const compare = (name: string, rival: Rival, target?: Target): void => {
    const targets = target === undefined ? {} : { target };
    results.add(makeRow(name, "ns", figures.mapped, { rival, faster: true, ...targets }));
  };
  compare(row, { name: `${title}, 8 counters in turn`, figures: figures.plain }, plain);
  if (figures.labelled === null) return;
  const labelledName = `${title}, 8 counters, one ${label}`;
  const article = label === "label" ? "a" : "an";
  const rival = { name: labelledName, figures: figures.labelled };
  compare(`${row} with ${article} ${label}`, rival, labelled);
}
