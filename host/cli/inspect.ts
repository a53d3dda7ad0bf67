import { resolve } from "node:path";
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

/** Reads a shared file by its journal, whether or not its supervisor lives. */
export function inspect(args: readonly string[]): Promise<number> {
  const paths = args.filter((argument) => !argument.startsWith("-"));
  const options = args.filter((argument) => argument.startsWith("-"));
  return withOptions("inspect", options, INSPECT_HELP, OPTIONS, async (values) => {
    const [path, another] = paths;
    if (path === undefined) throw new UsageError("Cannot inspect without the path of a file");
    if (another !== undefined) throw new UsageError(`Cannot inspect "${another}" as well`);
    const { json = false, "by-worker": byWorker = false } = values;
    const inspection = Inspection.open(resolve(path));
    try {
      await print(json ? `${inspection.stringify({ byWorker })}\n` : textOf(inspection, byWorker));
    } finally {
      inspection.close();
    }
    return 0;
  });
}

function textOf(inspection: Inspection, byWorker: boolean): string {
  const frame = new FrameReader(inspection).read();
  const services = byWorker
    ? frame.services
    : frame.services.map((service) => ({ ...service, workers: [] }));
  if (services.length === 0) return "Nobody has counted anything.\n";
  const columns = process.stdout.columns ?? COLUMNS;
  // What is over has no rates.
  const fields = frame.columns.map(({ name }) => ({ name, isCounter: false }));
  const lines = renderTable(
    { services, columns: fields },
    { columns, rows: Number.POSITIVE_INFINITY },
  );
  const color = process.stdout.isTTY && wantsColor();
  return lines.map((line) => `${paint(line, columns, color).trimEnd()}\n`).join("");
}
