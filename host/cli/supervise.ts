import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { HttpServer } from "../http/server.ts";
import { stderrLogger } from "../log.ts";
import { Supervisor } from "../supervisor.ts";
import { UtilizationMonitor, type UtilizationMonitorOptions } from "../utilization_monitor.ts";
import { parseDuration, parseMode, parseSize, UsageError, withOptions } from "./arguments.ts";
import { SUPERVISE_HELP } from "./help.ts";
import { httpOptions, serveHttp } from "./http.ts";
import { printLine } from "./output.ts";
import { groupIdOf, placeToSupervise } from "./place.ts";
import { stopped, stopSignal } from "./stop.ts";

const OPTIONS = {
  name: { type: "string" },
  dir: { type: "string" },
  socket: { type: "string" },
  path: { type: "string" },
  interval: { type: "string" },
  size: { type: "string" },
  "segment-size": { type: "string" },
  "max-size": { type: "string" },
  mode: { type: "string" },
  group: { type: "string" },
  http: { type: "string" },
  "http-host": { type: "string" },
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
    const interval = parseDuration("interval", values.interval ?? "10s") / 1000;
    const size = parseSize("size", values.size ?? "32KiB");
    const segmentSize = parseSize("segment-size", values["segment-size"] ?? "512");
    const maxSize = parseSize("max-size", values["max-size"] ?? "64MiB");
    const mode = parseMode("mode", values.mode ?? "0600");
    const groupId = values.group === undefined ? undefined : groupIdOf(values.group);
    if (size > maxSize) {
      throw new UsageError(`Cannot use --size ${size}: beyond --max-size, ${maxSize}`);
    }
    if (segmentSize > size) {
      throw new UsageError(`Cannot use --segment-size ${segmentSize}: beyond --size, ${size}`);
    }
    const http = await httpOptions(values);
    const options = { interval, size, segmentSize, maxSize, mode, groupId };
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
