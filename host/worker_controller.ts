// What a monitor needs to know of a worker, whatever transport it came by.

import { exactJson } from "./exact_json.ts";

/** The worker's end of a registration. */
export interface WorkerProxy {
  /**
   * Tells the worker to write its values into `segmentSize` bytes at `offset` of the file at
   * `path`, and resolves to its schema: rows of `[name, type, offset]`, or nothing useful.
   * `identity` tells the file from others that a container may have at that path; a worker that has
   * told an incarnation gets it.
   *
   * Rejects with a `RemoteError` when the worker answered with an error, and so does not use the
   * segment; with anything else when it is not known what the worker does.
   */
  setupUtilizationObserver(
    path: string,
    segmentSize: number,
    offset: number,
    identity?: string,
  ): Promise<unknown>;
}

/** One registered worker, as a supervisor knows it. */
export interface WorkerController {
  /** 1, 2, 3, … for the life of the supervisor. */
  readonly id: number;
  /** As the worker told it. */
  readonly processId: number | null;
  /**
   * As the worker told it. `name` is its service; our own workers add `incarnation` (random id of
   * their registry), `start_time` (ticks after boot), `mapping` and `wire` (what they speak).
   */
  readonly state: Readonly<Record<string, unknown>>;
  /** Null for a worker that cannot be asked for metrics. */
  readonly worker: WorkerProxy | null;
}

/** Longer names of services are cut. */
const LONGEST_NAME = 255;

/** The service a worker belongs to: `state.name` as text, `"unknown"` where there is none. */
export function serviceName({ name }: WorkerController["state"]): string {
  if (name === undefined || name === null || name === false) return "unknown";
  const text = typeof name === "string" ? name : exactJson(name);
  // Half a character would be another one in everything that is UTF-8.
  return text.slice(0, LONGEST_NAME).toWellFormed();
}

/** A string of the state, or null. */
export function stateText(state: WorkerController["state"], key: string): string | null {
  const value = state[key];
  return typeof value === "string" && value.length <= LONGEST_NAME ? value : null;
}
