/** The range of a file that a holder writes to. */
export interface FileRange {
  readonly inode: bigint;
  /**
   * As `mappedDeviceOf` found it: two file systems in memory have the same inodes. Unknown,
   * the inode alone is compared.
   */
  readonly device?: string | undefined;
  readonly offset: number;
  readonly length: number;
}

/**
 * What can be known of processes. Membership asks this and nothing else whether a worker lives, so
 * that tests can have workers die, stop and vanish from sight in any order without a process.
 */
export interface ProcessTable {
  /**
   * When a process started, in clock ticks after boot, as text; null when there is no such process
   * or it is a zombie, undefined when we could not look.
   */
  startTimeOf(processId: number): string | null | undefined;
  /** Whether a process maps any part of the range; null when we may not look. */
  mapsRange(processId: number, range: FileRange): boolean | null;
  /** Whether a process maps some file with the name of ours; not asked where it maps ours. */
  mapsNamesake?(processId: number, path: string): boolean;
}
