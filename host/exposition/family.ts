// A family of metrics, in no format yet.

export type MetricType = "counter" | "gauge" | "histogram" | "summary";

/** All samples of one metric. */
export interface MetricFamily {
  /** A counter's ends in `_total`; a histogram's and a summary's have no suffix. */
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  /** As it was declared; the name need not end with it. */
  readonly unit: string | undefined;
  /** Of a histogram, the buckets are cumulative, and `+Inf` and the count are equal. */
  readonly samples: readonly MetricSample[];
}

export interface MetricSample {
  /** What is added to the name of the family. */
  readonly suffix: "" | "_bucket" | "_sum" | "_count";
  /** `le` of a bucket included. Samples with the same labels may share one object. */
  readonly labels: Readonly<Record<string, string>>;
  /** A counter's is finite and not negative. Integers may have any number of digits. */
  readonly value: number | bigint;
}

/**
 * A field cannot be told: its name is taken by another one, or by a metric of our own; or a text cannot
 * be a label by it.
 */
export type OnConflict = (service: string, field: string) => void;
