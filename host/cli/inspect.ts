import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Inspection } from "../inspection.ts";
import { UsageError, withOptions } from "./arguments.ts";
import { FrameReader } from "./frame.ts";
import { INSPECT_HELP } from "./help.ts";
import { print } from "./output.ts";
import { paint, wantsColor } from "./screen.ts";
import { renderTable } from "./table.ts";

const OPTIONS = {
  json: { type: "boolean" },
  "by-worker": { type: "boolean" },
} as const;

const COLUMNS = 80;
/** How often it is read anew while workers come and go, and what is waited in between. */
const ATTEMPTS = 50;
const PAUSE_MS = 5;

/** Reads a shared file by its journal, whether or not its supervisor lives. */
export function inspect(args: readonly string[]): Promise<number> {
  const paths = args.filter((argument) => !argument.startsWith("-"));
  const options = args.filter((argument) => argument.startsWith("-"));
  return withOptions("inspect", options, INSPECT_HELP, OPTIONS, async (values) => {
    const [path, another] = paths;
    if (path === undefined) throw new UsageError("Cannot inspect without the path of a file");
    if (another !== undefined) throw new UsageError(`Cannot inspect "${another}" as well`);
    const { json = false, "by-worker": byWorker = false } = values;
    await print(
      await inspected(resolve(path), (inspection) =>
        json ? `${inspection.stringify({ byWorker })}\n` : textOf(inspection, byWorker),
      ),
    );
    return 0;
  });
}

/** Reads of one moment: a supervisor that lives may give a segment to another worker meanwhile. */
async function inspected(path: string, read: (inspection: Inspection) => string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const inspection = Inspection.open(path);
    try {
      const text = read(inspection);
      if (inspection.isCurrent || attempt === ATTEMPTS) return text;
    } finally {
      inspection.close();
    }
    await sleep(PAUSE_MS);
  }
}

function textOf(inspection: Inspection, byWorker: boolean): string {
  const frame = new FrameReader(inspection).read();
  const services = byWorker
    ? frame.services
    : frame.services.map((service) => ({ ...service, workers: [] }));
  if (services.length === 0) return "Nobody has counted anything.\n";
  const columns = process.stdout.columns || COLUMNS;
  // What is over has no rates.
  const fields = frame.columns.map(({ name }) => ({ name, isCounter: false }));
  const lines = renderTable(
    { ...frame, services, columns: fields },
    { columns, rows: Number.POSITIVE_INFINITY, texts: true },
  );
  const color = process.stdout.isTTY && wantsColor();
  return lines.map((line) => `${paint(line, columns, color).trimEnd()}\n`).join("");
}
