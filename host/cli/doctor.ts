import { withOptions } from "./arguments.ts";
import { checkFiles, tryAnswers } from "./doctor/files.ts";
import { Findings } from "./doctor/findings.ts";
import { checkFolder } from "./doctor/folder.ts";
import { checkMapping } from "./doctor/mapping.ts";
import { placeToExamine } from "./doctor/place.ts";
import { renderReport } from "./doctor/report.ts";
import { checkRuntime } from "./doctor/runtime.ts";
import { checkSupervisor, type Seen } from "./doctor/supervisor.ts";
import { checkSystem } from "./doctor/system.ts";
import { DOCTOR_HELP } from "./help.ts";
import { print } from "./output.ts";
import type { PlaceOptions } from "./place.ts";
import { wantsColor } from "./screen.ts";

const OPTIONS = {
  name: { type: "string" },
  dir: { type: "string" },
  socket: { type: "string" },
  path: { type: "string" },
  json: { type: "boolean" },
} as const;

const COLUMNS = 80;

/** Says what is wrong here, and what helps. */
export function doctor(args: readonly string[]): Promise<number> {
  return withOptions("doctor", args, DOCTOR_HELP, OPTIONS, async ({ json = false, ...options }) => {
    const findings = await examine(options);
    const { list } = findings;
    const [errors, warnings] = [findings.count("error"), findings.count("warning")];
    const color = process.stdout.isTTY === true && wantsColor();
    await print(
      json
        ? `${JSON.stringify({ errors, warnings, findings: list })}\n`
        : renderReport(findings, process.stdout.columns || COLUMNS, color),
    );
    return errors === 0 ? 0 : 1;
  });
}

/** @throws {UsageError} */
async function examine(options: PlaceOptions): Promise<Findings> {
  const findings = new Findings();
  const found = placeToExamine(options);
  const answer = await tryAnswers(found);
  const place = { ...found, isLive: answer === "live" || answer === "unreachable" };

  findings.begin("Runtime");
  await checkRuntime(findings);
  await findings.look("mapping", () => checkMapping(findings, place.folder));

  findings.begin("Folder");
  await checkFolder(findings, place);
  await checkFiles(findings, place, answer);

  findings.begin("Supervisor");
  let seen: Seen | null = null;
  if (answer !== "unreachable" && answer !== "elsewhere") {
    await findings.look("supervisor", async () => {
      seen = await checkSupervisor(findings, place);
    });
  }

  findings.begin("System");
  await checkSystem(findings, seen);
  return findings;
}
