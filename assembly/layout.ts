// The one file that both languages read: AssemblyScript for `core.wasm`, TypeScript for the host.
//
// Only `export const NAME = <integer expression>` may stand here, every value below 2^31, and no
// imports. The core exports each constant as a global, and `host/core.ts` compares them with these
// at load, so a stale binary is refused instead of being misread.
//
//   linear memory   0        ┌──────────────────────────────────────────────────────────┐
//                            │ static data of the core                                  │
//                   heap     │ blocks of 2^n bytes: the stage, the row scratch, the     │
//                            │ tables below. A table that grows moves to a larger block │
//                            └──────────────────────────────────────────────────────────┘
//
//   segment table   one SEGMENT per segment of the file, by segment index
//   worker table    open addressing: worker id -> segment index
//   group table     one GROUP per (service, schema); each points to its operations and members
//   member list     byte offsets in the file (i32) of the segments of a group; a group has two,
//                   LIVE and DETACHED
//   accumulators    one ACCUMULATOR per (service, field)
//   results         one RESULT per accumulator (finish) or per operation (decode)

/** ABI of `core.wasm`: a host refuses a major version that it does not know. */
export const ABI_MAJOR = 1;
export const ABI_MINOR = 0;

/** What index-returning functions answer when there is nothing. */
export const NONE = -1;

// Status codes of functions that can fail. Zero is success.
export const OK = 0;
/** The module's memory could not grow: the host's limit is reached. */
export const OUT_OF_MEMORY = -2;
/** An index, a size or a state that the call does not allow. Nothing changed. */
export const BAD_ARGUMENT = -3;

// Field types, named as Ruby's IO::Buffer names them (`u16` little-endian, `U16` big-endian).
// From TYPE_U16_LE on, an odd code is the big-endian form of the even code before it.
export const TYPE_U8 = 0;
export const TYPE_S8 = 1;
export const TYPE_U16_LE = 2;
export const TYPE_U16_BE = 3;
export const TYPE_S16_LE = 4;
export const TYPE_S16_BE = 5;
export const TYPE_U32_LE = 6;
export const TYPE_U32_BE = 7;
export const TYPE_S32_LE = 8;
export const TYPE_S32_BE = 9;
export const TYPE_U64_LE = 10;
export const TYPE_U64_BE = 11;
export const TYPE_S64_LE = 12;
export const TYPE_S64_BE = 13;
export const TYPE_F32_LE = 14;
export const TYPE_F32_BE = 15;
export const TYPE_F64_LE = 16;
export const TYPE_F64_BE = 17;
export const TYPE_COUNT = 18;

// How the values of one field are combined over the workers of a service.
/** Added up, and kept in the retired base when a worker dies. */
export const COUNTER = 0;
/** A gauge, added up over the live workers. */
export const SUM = 1;
/** A gauge: the smallest live value; NaN is passed over. */
export const MIN = 2;
/** A gauge: the largest live value; NaN is passed over. */
export const MAX = 3;
/** A gauge: the value of the live worker that registered last. */
export const LAST = 4;
export const AGGREGATE_COUNT = 5;
