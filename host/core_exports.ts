import type * as layout from "../assembly/layout.ts";

/** The raw exports of the core. docs/abi.md says what each function does and when it may be called. */
export interface CoreExports extends CoreConstants {
  /** Views of this buffer are void after a call that grew the memory. */
  readonly memory: { readonly buffer: ArrayBuffer };

  version(): number;
  selftest(): number;
  init(segmentSize: number): number;
  grow(count: number): number;

  allocate(worker: number, now: number): number;
  find(worker: number): number;
  attach(segment: number, group: number): number;
  detach(segment: number): number;
  free(segment: number, moment: number): number;
  next(segment: number): number;
  available(): number;
  capacity(): number;
  segments(): number;

  accumulator(aggregate: number): number;
  define(accumulator: number, aggregate: number): number;
  forget(accumulator: number): number;
  retired(accumulator: number): number;
  rows(count: number): number;
  group(count: number): number;
  dissolve(group: number): number;
  groups(): number;
  oldest(group: number): number;

  stage(): number;
  reset(): void;
  accumulate(group: number, list: number, first: number, rows: number): number;
  finish(what: number): void;
  decode(group: number): number;
  results(): number;
  retire(group: number, sign: number): number;
}

/** Sizes, offsets and codes: each constant of the layout as a global. */
type CoreConstants = { readonly [Name in keyof typeof layout]: { readonly value: number } };
