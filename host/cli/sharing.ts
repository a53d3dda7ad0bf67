// The options by which a supervisor shares its file, as "supervise" and "run" take them.

import { SHORTEST_LEAK_WINDOW_MS } from "../leaks.ts";
import type { UtilizationMonitorOptions } from "../utilization_monitor.ts";
import { type OptionValues, parseDuration, parseMode, parseSize, UsageError } from "./arguments.ts";
import { groupIdOf } from "./place.ts";

export const SHARING_OPTIONS = {
  interval: { type: "string" },
  size: { type: "string" },
  "segment-size": { type: "string" },
  "max-size": { type: "string" },
  mode: { type: "string" },
  group: { type: "string" },
  "leak-window": { type: "string" },
} as const;

/** All that is known before a file is touched. */
export type Sharing = Required<
  Pick<UtilizationMonitorOptions, "interval" | "size" | "segmentSize" | "maxSize" | "leakWindowMs">
> & { readonly mode: number; readonly groupId: number | undefined };

/** @throws {UsageError} */
export function parseSharing(values: OptionValues<typeof SHARING_OPTIONS>): Sharing {
  const interval = parseDuration("interval", values.interval ?? "10s") / 1000;
  const size = parseSize("size", values.size ?? "32KiB");
  const segmentSize = parseSize("segment-size", values["segment-size"] ?? "512");
  const maxSize = parseSize("max-size", values["max-size"] ?? "64MiB");
  const mode = parseMode("mode", values.mode ?? "0600");
  const groupId = values.group === undefined ? undefined : groupIdOf(values.group);
  const leakWindowMs = parseLeakWindow(values["leak-window"] ?? "10m");
  if (size > maxSize) {
    throw new UsageError(`Cannot use --size ${size}: beyond --max-size, ${maxSize}`);
  }
  if (segmentSize > size) {
    throw new UsageError(`Cannot use --segment-size ${segmentSize}: beyond --size, ${size}`);
  }
  return { interval, size, segmentSize, maxSize, mode, groupId, leakWindowMs };
}

function parseLeakWindow(text: string): number {
  if (text === "0") return 0;
  const ms = parseDuration("leak-window", text);
  if (ms >= SHORTEST_LEAK_WINDOW_MS) return ms;
  throw new UsageError(
    `Cannot use --leak-window "${text}": 0 for never, or 1s and more is expected`,
  );
}
