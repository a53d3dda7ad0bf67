// What a monitor tells.

import type { ServiceData } from "./reports.ts";
import type { Value } from "./sampler.ts";

export interface SampleOptions {
  /**
   * Every integer as a bigint, exact at any size, and floats as numbers; otherwise numbers only, an
   * integer beyond 2^53 rounded.
   */
  readonly bigint?: boolean | undefined;
}

/** Options that ask for numbers: what is told then has no bigint. */
export type AsNumbers<Options extends SampleOptions = SampleOptions> = Options & {
  readonly bigint?: false | undefined;
};

export interface StatusOptions extends SampleOptions {
  /** Adds `totals`. */
  readonly totals?: boolean | undefined;
  /** Adds `workers`. */
  readonly byWorker?: boolean | undefined;
}

/** Aggregates by service name, in order of first appearance; null-prototype objects. */
export type Sample<V extends Value = Value> = Record<string, ServiceData & Record<string, V>>;

/** What one worker has in its segment. */
export interface WorkerSample<V extends Value = Value> {
  readonly id: number;
  readonly processId: number | null;
  readonly service: string;
  /** How the worker writes: `"none"` is through file I/O, up to a flush ago. */
  readonly mapping: string;
  /**
   * For how many seconds its event loop has stood still: 0 while it runs, null for a worker without
   * a heartbeat, such as one in Ruby.
   */
  readonly stalledFor: number | null;
  readonly data: Record<string, V>;
}

/** What a supervisor passes on to whoever asks. */
export interface Status<V extends Value = Value> {
  readonly type: string;
  readonly data: Sample<V>;
  /** How many workers of each service stand still; services without are left out. */
  readonly stalled: Readonly<Record<string, number>>;
  readonly totals?: Sample<V>;
  readonly workers?: readonly WorkerSample<V>[];
}
