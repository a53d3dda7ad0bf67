// What the gateway sends a plug-in: bytes, so that any host can pass them on. Both languages read
// this file, as they do assembly/layout.ts.
//
//    0          8        16            20     24       28        32
//    ├ capacity ┼ age ms ┼ segment size ┼ type ┼ offset ┼ workers ┼ segments ...
//
// `capacity` and `age ms` are f64, the others i32, all little-endian. `type` (a TYPE_ code of
// assembly/layout.ts) and `offset` say where in each segment the count of active requests is.
// `workers` segments follow. The segment size is a multiple of 8.
export const CAPACITY = 0;
export const AGE_MS = 8;
export const SEGMENT_SIZE = 16;
export const TYPE = 20;
export const OFFSET = 24;
export const WORKERS = 28;
export const SEGMENTS = 32;
