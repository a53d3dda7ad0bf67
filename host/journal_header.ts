/** Another number means another meaning of the lines. */
export const JOURNAL_FORMAT = 2;

/** The first line: whose journal it is, and of which file. */
export interface JournalHeader {
  readonly format: number;
  /** Random id of the kernel's start: process ids and inodes mean nothing after another one. */
  readonly boot: string | null;
  /** Of the pid namespace in which process ids were seen. */
  readonly namespace: string | null;
  readonly supervisor: { readonly pid: number; readonly start: string | null };
  readonly file: { readonly inode: string; readonly segmentSize: number };
}
