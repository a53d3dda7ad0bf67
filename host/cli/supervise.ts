import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { HttpServer } from "../http/server.ts";
import { stderrLogger } from "../log.ts";
import { Supervisor } from "../supervisor.ts";
import { UtilizationMonitor, type UtilizationMonitorOptions } from "../utilization_monitor.ts";
import { UsageError, withOptions } from "./arguments.ts";
import { SUPERVISE_HELP } from "./help.ts";
import { HTTP_OPTIONS, httpOptions, serveHttp } from "./http.ts";
import { printLine } from "./output.ts";
import { placeToSupervise } from "./place.ts";
import { parseSharing, SHARING_OPTIONS } from "./sharing.ts";
import { stopped, stopSignal } from "./stop.ts";

const OPTIONS = {
  name: { type: "string" },
  dir: { type: "string" },
  socket: { type: "string" },
  path: { type: "string" },
  ...SHARING_OPTIONS,
  ...HTTP_OPTIONS,
} as const;

/** Prints every sample. */
class LineMonitor extends UtilizationMonitor {
  override emit(): void {
    printLine(this);
  }
}

/** Runs a supervisor until it is stopped. */
export function supervise(args: readonly string[]): Promise<number> {
  return withOptions("supervise", args, SUPERVISE_HELP, OPTIONS, async (values) => {
    const options = parseSharing(values);
    const { mode, groupId } = options;
    const http = await httpOptions(values);
    // Before anything is touched.
    makeMonitor({ ...options, path: values.path });
    const { socket, file } = placeToSupervise(values);
    const monitor = makeMonitor({ ...options, path: file });

    const stop = stopSignal();
    const supervisor = await Supervisor.listen({ socket, monitors: [monitor], mode, groupId });
    let server: HttpServer | null = null;
    try {
      stderrLogger.info(`Listening on "${supervisor.socket}"`);
      warnOfFolder(supervisor.socket, mode);
      server = await serveHttp(http, supervisor, [monitor]);
      monitor.run({ signal: stop });
      await stopped(stop);
    } finally {
      await server?.close();
      await supervisor.close();
    }
    return 0;
  });
}

function makeMonitor(options: UtilizationMonitorOptions): LineMonitor {
  try {
    return new LineMonitor(options);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

/** Whom the mode lets in, the folder may keep out: one cannot reach what is in it. */
function warnOfFolder(socket: string, mode: number): void {
  const folder = dirname(socket);
  const folderMode = statSync(folder).mode & 0o777;
  const keepsOut = [0o010, 0o001].some((who) => (mode & (who * 7)) !== 0 && !(folderMode & who));
  if (!keepsOut) return;
  const [asked, found] = [mode, folderMode].map((bits) => `0${bits.toString(8).padStart(3, "0")}`);
  stderrLogger.warn(`Folder "${folder}" of mode ${found} keeps out whom mode ${asked} lets in`);
}
