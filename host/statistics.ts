// What a monitor tells of itself.

export interface MonitorStatistics {
  /** How many segments the file has. */
  readonly segments: number;
  /** How many of them are not free. */
  readonly segmentsUsed: number;
  /** In bytes. */
  readonly segmentSize: number;
  /** How often the segments were read, for samples and totals. */
  readonly samples: number;
  /** How long that took altogether, in seconds. */
  readonly sampleSeconds: number;
  /** Workers that were given a segment and told their fields. */
  readonly registrations: number;
  /** Workers that were registered and are not any more. */
  readonly removals: number;
  /** Fields of workers that were dropped, because no segment can have them. */
  readonly rejectedFields: number;
}
