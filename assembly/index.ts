// The exports, nothing else: this file is the ABI. See docs/abi.md.

import { ABI_MAJOR, ABI_MINOR } from "./layout";

export { accumulator, define, finish, forget, reset, results, retired } from "./accumulators";
export { accumulate, decode, retire } from "./aggregate";
export { attach, detach, dissolve, free, group, groups, init, oldest, rows, stage } from "./groups";
export * from "./layout";
export { allocate, available, capacity, find, grow, next, segments } from "./segments";
export { selftest } from "./selftest";

/** ABI version: major << 16 | minor. */
export function version(): i32 {
  return (ABI_MAJOR << 16) | ABI_MINOR;
}
