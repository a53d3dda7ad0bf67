// What a supervisor and its monitors tell of themselves.

import type { Status } from "../sample.ts";
import type { MonitorStatistics } from "../statistics.ts";
import { VERSION } from "../version.ts";
import type { MetricSample, MetricType, OnConflict } from "./family.ts";
import type { FamilySet, OpenFamily } from "./family_set.ts";
import { labelName } from "./names.ts";

type Labels = MetricSample["labels"];

/** Added by the monitor to each service, and told as `workers`. */
export const WORKER_COUNT = "worker_count";

const OWN = {
  build_info: ["gauge", "Version of utilization-monitor; always 1."],
  workers: ["gauge", "Workers of a service that live."],
  stalled_workers: ["gauge", "Workers of a service whose event loop stands still."],
  leaking_workers: ["gauge", "Workers of a service that may leak what they have in flight."],
  worker_info: ["gauge", "What a worker says of itself; always 1."],
  restarts_total: ["counter", "Workers that ended and were started again."],
  segments: ["gauge", "Segments that the shared file has."],
  segments_used: ["gauge", "Segments of the shared file that a worker holds or has just left."],
  segment_size_bytes: ["gauge", "Size of a segment.", "bytes"],
  sample_duration_seconds: ["summary", "Time to read and add up the segments.", "seconds"],
  worker_registrations_total: ["counter", "Workers that registered."],
  worker_removals_total: ["counter", "Workers that registered and went."],
  rejected_fields_total: ["counter", "Fields of workers that were dropped, the log says why."],
  limits_reached_total: ["counter", "How often workers wanted more than they may."],
} as const satisfies Readonly<Record<string, readonly [MetricType, string, unit?: string]>>;

type Own = keyof typeof OWN;

/** Their names are taken before those of fields. */
export class OwnFamilies {
  readonly #families: ReadonlyMap<Own, OpenFamily>;

  constructor(families: FamilySet, namespace: string) {
    const made = Object.entries(OWN).map(([name, [type, help, unit]]) => {
      return [name as Own, families.own(`${namespace}_${name}`, type, help, unit)] as const;
    });
    this.#families = new Map(made);
    this.#add("build_info", { version: VERSION }, 1);
  }

  #add(name: Own, labels: Labels, value: number, suffix: MetricSample["suffix"] = ""): void {
    this.#families.get(name)!.samples.push({ suffix, labels, value });
  }

  /** What there is once, however many monitors. */
  tell(
    limitsReached: Readonly<Record<string, number>> = {},
    restarts: Readonly<Record<string, number>> = {},
  ): void {
    for (const [limit, count] of Object.entries(limitsReached)) {
      this.#add("limits_reached_total", { limit }, count);
    }
    for (const [service, count] of Object.entries(restarts)) {
      this.#add("restarts_total", { service }, count);
    }
  }

  tellMonitor(statistics: MonitorStatistics, labels: Labels): void {
    this.#add("segments", labels, statistics.segments);
    this.#add("segments_used", labels, statistics.segmentsUsed);
    this.#add("segment_size_bytes", labels, statistics.segmentSize);
    this.#add("sample_duration_seconds", labels, statistics.sampleSeconds, "_sum");
    this.#add("sample_duration_seconds", labels, statistics.samples, "_count");
    this.#add("worker_registrations_total", labels, statistics.registrations);
    this.#add("worker_removals_total", labels, statistics.removals);
    this.#add("rejected_fields_total", labels, statistics.rejectedFields);
  }

  tellService({ data, stalled, leaking = {} }: Status, labels: Labels): void {
    const service = labels.service!;
    this.#add("workers", labels, data[service]?.[WORKER_COUNT] ?? 0);
    this.#add("stalled_workers", labels, stalled[service] ?? 0);
    for (const [field, count] of Object.entries(leaking[service] ?? {})) {
      this.#add("leaking_workers", { ...labels, field }, count);
    }
  }

  /** Workers that say something of themselves, where they are told one by one. */
  tellWorkers({ workers = [] }: Status, more: Labels, onConflict: OnConflict | undefined): void {
    for (const { service, slot, text } of workers) {
      if (text === undefined) continue;
      const labels: Record<string, string> = { service, slot: String(slot), ...more };
      for (const [field, said] of Object.entries(text)) {
        const name = labelName(field);
        if (name === null || Object.hasOwn(labels, name)) onConflict?.(service, field);
        else labels[name] = said;
      }
      this.#add("worker_info", labels, 1);
    }
  }
}
