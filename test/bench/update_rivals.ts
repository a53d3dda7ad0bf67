// One update of ours against those of others. Each library has a process of its own: two of them
// in one would make the calls of both polymorphic.

import { loadPromClient, TITLES } from "./libraries.ts";
import { progress, type Results } from "./results.ts";
import { makeRow, type Target } from "./row.ts";
import type { Settings } from "./settings.ts";
import { type Counted, measureInProcess, type Segment } from "./update_segment.ts";

/** What is compared, with its targets: without labels, and with one. */
interface Competition {
  readonly title: string;
  /** What the library calls a label. */
  readonly label: string;
  readonly types: readonly Segment["type"][];
  readonly plain?: Target;
  readonly labelled?: Target;
}

/** What our metrics cost by type is in the rows of the first: the others are compared with one. */
const COMPETITIONS = {
  "prom-client": {
    title: TITLES["prom-client"],
    label: "label",
    types: ["u64", "f64"],
    plain: { timesFaster: 5 },
    labelled: { timesFaster: 30 },
  },
  "@prometheus-io/client": {
    title: TITLES["@prometheus-io/client"],
    label: "label",
    types: ["u64"],
  },
  OpenTelemetry: { title: "OpenTelemetry SDK 2", label: "attribute", types: ["u64"] },
} as const satisfies Record<string, Competition>;

export type RivalName = keyof typeof COMPETITIONS;

/** What update_rivals_process.ts is told besides its segment. */
export interface RivalTask {
  readonly rival: RivalName;
}

/** What it prints: nanoseconds of an update in each round. */
export interface RivalFigures extends Counted {
  readonly mapped: readonly number[];
  readonly plain: readonly number[];
  readonly labelled: readonly number[];
}

export function measureUpdateRivals(
  type: Segment["type"],
  folder: string,
  settings: Settings,
  results: Results,
): void {
  for (const [name, competition] of Object.entries<Competition>(COMPETITIONS)) {
    const { title, label, types, plain, labelled } = competition;
    if (!types.includes(type)) continue;
    const row = `increment ${type}, against ${name}`;
    const task: RivalTask = { rival: name as RivalName };
    try {
      if (task.rival !== "OpenTelemetry") loadPromClient(task.rival);
    } catch (error) {
      results.skip(row, (error as Error).message);
      continue;
    }
    progress(`updates: ${type}, against ${name}`);
    const figures = measureInProcess<RivalFigures>(
      "./update_rivals_process.js",
      type,
      folder,
      settings,
      results,
      task,
    );
    const compare = (row: string, rival: string, of: readonly number[], target?: Target): void => {
      results.add(
        makeRow(row, "ns", figures.mapped, {
          rival: { name: rival, figures: of },
          faster: true,
          ...(target !== undefined && { target }),
        }),
      );
    };
    compare(row, `${title}, 8 counters in turn`, figures.plain, plain);
    const labelledRow = `${row} with ${label === "label" ? "a label" : `an ${label}`}`;
    compare(labelledRow, `${title}, 8 counters, one ${label}`, figures.labelled, labelled);
  }
}
