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
export const ABI_MINOR = 2;

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

// SEGMENT: what the core knows about one segment of the file.
//
//    0         4         8          12       16      20         24            32
//    ├─ state ─┼─ group ─┼─ position ┼─ worker ┼─ next ─┼ previous ┼─ moment (f64) ─┤
//
// `position` is the index in the member list of its group. `next` is the following free segment,
// or, while live, the member that registered after it, as `previous` is the one before: a ring.
// `moment` is, while free, the time from which it may be handed out again, and else the place
// in registration order.
export const SEGMENT_BYTES = 32;
export const SEGMENT_STATE = 0;
export const SEGMENT_GROUP = 4;
export const SEGMENT_POSITION = 8;
export const SEGMENT_WORKER = 12;
export const SEGMENT_NEXT = 16;
export const SEGMENT_PREVIOUS = 20;
export const SEGMENT_MOMENT = 24;

/** Nobody's: in the free list. */
export const FREE = 0;
/** Handed out to a worker whose schema is not known yet. */
export const HELD = 1;
/** Its worker is registered: in samples and in totals. */
export const LIVE = 2;
/** Its worker dropped its connection but may live: in totals only. */
export const DETACHED = 3;

// ROW: one field of a schema, as the host writes it for `group`.
//
//    0        4          8             12
//    ├─ type ─┼─ offset ─┼ accumulator ─┤
export const ROW_BYTES = 12;
export const ROW_TYPE = 0;
export const ROW_OFFSET = 4;
export const ROW_ACCUMULATOR = 8;
/** Most fields that one schema can have. */
export const MAX_FIELDS = 4096;

// GROUP: the segments of one service that share a schema.
//
//    0            4       8       12         16      20                 32                     44       48
//    ├ operations ┼ count ┼ words ┼ bytewise ┼ batch ┼ LIVE member list ┼ DETACHED member list ┼ oldest ┤
//
// `operations` points to `count` ROWs. A row of the stage has `words` × 8 bytes: the used prefix
// of a segment. The host copies a group that is `bytewise` byte by byte (a field crosses an 8-byte
// boundary, or segments do not start on one), others as whole 64-bit words, so that no value is
// torn. `batch` is how many rows fit into the stage at once. A member list is {pointer, count,
// capacity}. `oldest` is the live member that registered first, NONE without one.
export const GROUP_BYTES = 48;
export const GROUP_OPERATIONS = 0;
export const GROUP_COUNT = 4;
export const GROUP_WORDS = 8;
export const GROUP_BYTEWISE = 12;
export const GROUP_BATCH = 16;
export const GROUP_LIVE = 20;
export const GROUP_DETACHED = 32;
export const GROUP_OLDEST = 44;
export const MEMBERS_POINTER = 0;
export const MEMBERS_COUNT = 4;
export const MEMBERS_CAPACITY = 8;

// ACCUMULATOR: one field of one service.
//
//    0           4        8              16     32          64              96             128
//    ├ aggregate ┼ in use ┼ moment (f64) ┼ free ┼ LIVE bank ┼ DETACHED bank ┼ RETIRED bank ┤
//
// A bank is a 128-bit integer and a float64, and which of the two have been added to.
export const ACCUMULATOR_BYTES = 128;
export const ACCUMULATOR_AGGREGATE = 0;
export const ACCUMULATOR_USED = 4;
export const ACCUMULATOR_MOMENT = 8;
export const ACCUMULATOR_LIVE = 32;
export const ACCUMULATOR_DETACHED = 64;
export const ACCUMULATOR_RETIRED = 96;
export const BANK_LOW = 0;
export const BANK_HIGH = 8;
export const BANK_FLOAT = 16;
export const BANK_PARTS = 24;
export const PART_INTEGER = 1;
export const PART_FLOAT = 2;

// RESULT: what `finish` and `decode` write, read by the host as four 64-bit words.
//
//    0            8             16          24           32
//    ├ kind (f64) ┼ value (f64) ┼ low (u64) ┼ high (i64) ┤
export const RESULT_BYTES = 32;
export const RESULT_KIND = 0;
export const RESULT_VALUE = 8;
export const RESULT_LOW = 16;
export const RESULT_HIGH = 24;
/** There is no such value. */
export const RESULT_NONE = 0;
/** An integer up to 2^53 in magnitude: `value` is exact. */
export const RESULT_INTEGER = 1;
/** A larger integer: high × 2^64 + low is exact, `value` is rounded to nearest. */
export const RESULT_WIDE = 2;
/** `value` is the float. */
export const RESULT_FLOAT = 3;

/** `finish`: the aggregates of the live workers. */
export const SAMPLE = 0;
/** `finish`: the counters of live, detached and retired workers together. */
export const TOTALS = 1;

/** Most rows that are staged at once: more than 64 lines of a large stride fall out of L1. */
export const BATCH_ROWS = 64;
/** The stage is at least this large. */
export const STAGE_BYTES = 65536;
