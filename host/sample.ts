// What a monitor tells.

import type { Value } from "./sampler.ts";
import type { ServiceData } from "./services.ts";

export interface SampleOptions {
  /** Every integer as a bigint, exact at any size. */
  bigint?: boolean;
}

export interface StatusOptions extends SampleOptions {
  /** Adds `totals`. */
  totals?: boolean;
  /** Adds `workers`. */
  byWorker?: boolean;
}

/** Aggregates by service name, in order of first appearance; null-prototype objects. */
export type Sample = Record<string, ServiceData>;

/** What one worker has in its segment. */
export interface WorkerSample {
  readonly id: number;
  readonly processId: number | null;
  readonly service: string;
  /** How the worker writes: `"none"` is through file I/O, up to a flush ago. */
  readonly mapping: string;
  readonly data: Record<string, Value>;
}

/** What a supervisor passes on to whoever asks. */
export interface Status {
  readonly type: string;
  readonly data: Sample;
  readonly totals?: Sample;
  readonly workers?: readonly WorkerSample[];
}
