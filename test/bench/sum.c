// The rival in C: the same generic plan as the core's (groups, tiles of 64 rows, field-outer and
// row-inner loops by type, exact 128-bit integer sums), straight on the mapped file, where the core
// has to copy rows into its own memory first. And a plain memcpy of the bytes that a sample reads.
//
// Compiled while the benchmark runs, as a shared library, or with -DPROGRAM as a program that reads
// "kernel passes" lines and answers each with "nanoseconds low high low high ...". The type codes
// TYPE_… come from assembly/layout.ts as -D options.
//
// A plan is a file of 32-bit integers: the numbers of groups, operations, members and accumulators;
// then for each group its first member, members, first operation, operations, and bytes of a row;
// then for each operation its type, offset in the segment and accumulator; then the members' offsets
// in the file.

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TILE 64

typedef struct { int32_t first, count, operations, operation_count, row_bytes; } Group;
typedef struct { int32_t type, offset, accumulator; } Operation;
typedef struct { uint64_t low; int64_t high; double real; } Accumulator;

static const uint8_t *file;
static size_t file_length;
static int32_t *plan;
static int32_t group_count, accumulator_count;
static const Group *groups;
static const Operation *operations;
static const int32_t *members;
static Accumulator *accumulators;
static uint8_t *copies;

static void add_integer(Accumulator *to, uint64_t low, int64_t high) {
  uint64_t sum = to->low + low;
  to->high += high + (sum < low);
  to->low = sum;
}

#define VALUE(T) (*(const T *)(base + rows[i]))
#define ROWS for (int32_t i = 0; i < count; i++)

#define NARROW(T, READ)                                                                          \
  {                                                                                              \
    int64_t sum = 0;                                                                             \
    ROWS sum += (T)READ;                                                                         \
    add_integer(to, (uint64_t)sum, sum >> 63);                                                   \
    break;                                                                                       \
  }
// The wrapping sum of the values and the sum of their upper halves give the exact sum.
#define WIDE(T, READ)                                                                            \
  {                                                                                              \
    uint64_t sum = 0;                                                                            \
    T upper = 0;                                                                                 \
    ROWS {                                                                                       \
      T value = (T)READ;                                                                         \
      sum += (uint64_t)value;                                                                    \
      upper += value >> 32;                                                                      \
    }                                                                                            \
    add_integer(to, sum - ((uint64_t)upper << 32), 0);                                           \
    add_integer(to, (uint64_t)upper << 32, (int64_t)(upper >> 32));                              \
    break;                                                                                       \
  }
#define REAL(T, READ)                                                                            \
  {                                                                                              \
    double sum = to->real;                                                                       \
    ROWS sum += READ;                                                                            \
    to->real = sum;                                                                              \
    break;                                                                                       \
  }

static inline float swapped_float(uint32_t bits) {
  float value;
  bits = __builtin_bswap32(bits);
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline double swapped_double(uint64_t bits) {
  double value;
  bits = __builtin_bswap64(bits);
  memcpy(&value, &bits, sizeof value);
  return value;
}

static void sum_field(int32_t type, const uint8_t *base, const int32_t *rows, int32_t count,
                      Accumulator *to) {
  switch (type) {
    case TYPE_U8: NARROW(uint8_t, VALUE(uint8_t))
    case TYPE_S8: NARROW(int8_t, VALUE(int8_t))
    case TYPE_U16_LE: NARROW(uint16_t, VALUE(uint16_t))
    case TYPE_U16_BE: NARROW(uint16_t, __builtin_bswap16(VALUE(uint16_t)))
    case TYPE_S16_LE: NARROW(int16_t, VALUE(int16_t))
    case TYPE_S16_BE: NARROW(int16_t, __builtin_bswap16(VALUE(uint16_t)))
    case TYPE_U32_LE: NARROW(uint32_t, VALUE(uint32_t))
    case TYPE_U32_BE: NARROW(uint32_t, __builtin_bswap32(VALUE(uint32_t)))
    case TYPE_S32_LE: NARROW(int32_t, VALUE(int32_t))
    case TYPE_S32_BE: NARROW(int32_t, __builtin_bswap32(VALUE(uint32_t)))
    case TYPE_U64_LE: WIDE(uint64_t, VALUE(uint64_t))
    case TYPE_U64_BE: WIDE(uint64_t, __builtin_bswap64(VALUE(uint64_t)))
    case TYPE_S64_LE: WIDE(int64_t, VALUE(int64_t))
    case TYPE_S64_BE: WIDE(int64_t, __builtin_bswap64(VALUE(uint64_t)))
    case TYPE_F32_LE: REAL(float, VALUE(float))
    case TYPE_F32_BE: REAL(float, swapped_float(VALUE(uint32_t)))
    case TYPE_F64_LE: REAL(double, VALUE(double))
    case TYPE_F64_BE: REAL(double, swapped_double(VALUE(uint64_t)))
  }
}

static void sum_groups(void) {
  memset(accumulators, 0, (size_t)accumulator_count * sizeof *accumulators);
  for (const Group *group = groups; group < groups + group_count; group++) {
    const Operation *end = operations + group->operations + group->operation_count;
    for (int32_t first = 0; first < group->count; first += TILE) {
      int32_t count = group->count - first < TILE ? group->count - first : TILE;
      const int32_t *rows = members + group->first + first;
      for (const Operation *o = operations + group->operations; o < end; o++) {
        sum_field(o->type, file + o->offset, rows, count, accumulators + o->accumulator);
      }
    }
  }
}

static void copy_rows(void) {
  uint8_t *to = copies;
  for (const Group *group = groups; group < groups + group_count; group++) {
    const int32_t *row = members + group->first, *end = row + group->count;
    if (group->row_bytes == 64) {
      for (; row < end; row++, to += 64) memcpy(to, file + *row, 64);
    } else {
      for (; row < end; row++, to += group->row_bytes) {
        memcpy(to, file + *row, (size_t)group->row_bytes);
      }
    }
  }
  __asm__ volatile("" : : "r"(copies) : "memory");
}

static void *map_file(const char *path, size_t *length) {
  int descriptor = open(path, O_RDONLY);
  struct stat status;
  if (descriptor < 0 || fstat(descriptor, &status) != 0) return NULL;
  *length = (size_t)status.st_size;
  void *mapping = mmap(NULL, *length, PROT_READ, MAP_SHARED, descriptor, 0);
  close(descriptor);
  return mapping == MAP_FAILED ? NULL : mapping;
}

/** Maps the file and reads the plan; 0 on success. Once. */
int bench_open(const char *file_path, const char *plan_path) {
  size_t plan_length;
  file = map_file(file_path, &file_length);
  const int32_t *source = map_file(plan_path, &plan_length);
  if (file == NULL || source == NULL) return -1;
  plan = malloc(plan_length);
  if (plan == NULL) return -1;
  memcpy(plan, source, plan_length);
  munmap((void *)source, plan_length);
  group_count = plan[0];
  accumulator_count = plan[3];
  groups = (const Group *)(plan + 4);
  operations = (const Operation *)(groups + group_count);
  members = (const int32_t *)(operations + plan[1]);
  accumulators = calloc((size_t)accumulator_count, sizeof *accumulators);
  size_t bytes = 0;
  for (int32_t i = 0; i < group_count; i++) {
    bytes += (size_t)groups[i].count * (size_t)groups[i].row_bytes;
  }
  copies = aligned_alloc(64, (bytes + 127) & ~(size_t)63);
  return accumulators == NULL || copies == NULL ? -1 : 0;
}

/** Nanoseconds of `passes` passes of a kernel: 0 sums, 1 copies. */
double bench_run(int kernel, int passes) {
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (int i = 0; i < passes; i++) {
    if (kernel == 0) sum_groups();
    else copy_rows();
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  return (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
}

/** One 64-bit half of the exact integer sum of an accumulator. */
uint64_t bench_half(int accumulator, int high) {
  return high ? (uint64_t)accumulators[accumulator].high : accumulators[accumulator].low;
}

/** The wrapping sum of all words of the rows that the last copy made. */
uint64_t bench_copied(void) {
  const uint8_t *row = copies;
  uint64_t sum = 0, word;
  for (const Group *group = groups; group < groups + group_count; group++) {
    const uint8_t *end = row + (size_t)group->count * (size_t)group->row_bytes;
    for (; row < end; row += 8) {
      memcpy(&word, row, 8);
      sum += word;
    }
  }
  return sum;
}

/** Lets go of everything, for the next file. */
void bench_close(void) {
  free(plan);
  free(accumulators);
  free(copies);
  munmap((void *)file, file_length);
}

#ifdef PROGRAM
int main(int count, char **arguments) {
  if (count != 3 || bench_open(arguments[1], arguments[2]) != 0) return 1;
  int kernel, passes;
  while (scanf("%d %d", &kernel, &passes) == 2) {
    double nanoseconds = bench_run(kernel, passes);
    uint64_t copied = kernel == 1 ? bench_copied() : 0;
    printf("%.0f %llu", nanoseconds, (unsigned long long)copied);
    for (int i = 0; i < accumulator_count; i++) {
      printf(" %llu %llu", (unsigned long long)bench_half(i, 0),
             (unsigned long long)bench_half(i, 1));
    }
    printf("\n");
    fflush(stdout);
  }
  return 0;
}
#endif
