// What a monitor tells.

import type { Texts } from "./text_field.ts";
import type { Value } from "./value.ts";

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

/** Values by field name; a null-prototype object. */
export type ServiceData = Record<string, Value> & { worker_count: number };

/** Aggregates by service name, in order of first appearance; null-prototype objects. */
export type Sample<V extends Value = Value> = Record<string, ServiceData & Record<string, V>>;

/** What was observed in one histogram. */
export interface HistogramSample<V extends Value = Value> {
  readonly count: V;
  /** Of a foreign histogram it may be missing. */
  readonly sum?: V;
  /** Estimated as Prometheus does, within a bucket; null where nothing was observed. */
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
}

/** Histograms by service and name; null-prototype objects. */
export type HistogramSamples<V extends Value = Value> = Readonly<
  Record<string, Readonly<Record<string, HistogramSample<V>>>>
>;

/** What one worker has in its segment. */
export interface WorkerSample<V extends Value = Value> {
  readonly id: number;
  /** Index of its segment in the file. After its end another worker may have it. */
  readonly slot: number;
  readonly processId: number | null;
  readonly service: string;
  /** How the worker writes: `"none"` is through file I/O, up to a flush ago. */
  readonly mapping: string;
  /**
   * For how many seconds its event loop has stood still: 0 while it runs, null for a worker without
   * a heartbeat, such as one in Ruby.
   */
  readonly stalledFor: number | null;
  /** What it says of itself; only where it says anything. */
  readonly text?: Readonly<Texts>;
  /** Of each gauge that may leak, its lowest value within the window; only where there is any. */
  readonly leaking?: Readonly<Record<string, number>>;
  readonly data: Record<string, V>;
}

/** What a supervisor passes on to whoever asks. */
export interface Status<V extends Value = Value> {
  readonly type: string;
  readonly data: Sample<V>;
  /** How many workers of each service stand still; services without are left out. */
  readonly stalled: Readonly<Record<string, number>>;
  /** What the newest worker of each service says of itself; only where any says anything. */
  readonly text?: Readonly<Record<string, Readonly<Texts>>>;
  /** How many workers of each service may leak, by field; only where there are any. */
  readonly leaking?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Those of {@link data}, whose values they are estimated from; absent where there are none. */
  readonly histograms?: HistogramSamples<V>;
  readonly totals?: Sample<V>;
  readonly workers?: readonly WorkerSample<V>[];
}
