/** A value as the caller wants it: bigints for integers only where they were asked for. */
export type Value = number | bigint;
