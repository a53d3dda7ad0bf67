/* The core in a C program, without a WebAssembly runtime: wasm2c has turned core.wasm into C. It
 * runs the conformance vectors that it is given; `make check` builds it and gives it all of them.
 *
 * Linear memory is plain memory here. A little-endian machine is taken for granted. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "wasm-rt-impl.h"

#ifdef OLD_NAMES /* of wasm2c 1.0.32 */
#define CORE(name) Z_coreZ_##name
typedef Z_core_instance_t w2c_core;
#define wasm2c_core_instantiate(core) (Z_core_init_module(), Z_core_instantiate(core))
#define wasm2c_core_free Z_core_free
#else
#define CORE(name) w2c_core_##name
#endif

static w2c_core core;

/* Calls an export by name. Numbers are doubles, which hold every i32. */
static double call(const char *name, const double *a) {
#define NAMED(export) if (strcmp(name, #export) == 0)
#define INDEX(i) ((u32)(s32)a[i])
#define CALL0(export) NAMED(export) return (s32)CORE(export)(&core)
#define CALL1(export) NAMED(export) return (s32)CORE(export)(&core, INDEX(0))
#define CALL2(export) NAMED(export) return (s32)CORE(export)(&core, INDEX(0), INDEX(1))
#define CALL2F(export) NAMED(export) return (s32)CORE(export)(&core, INDEX(0), a[1])
  CALL0(version); CALL0(selftest);
  CALL0(available); CALL0(capacity);
  CALL0(groups); CALL0(results); CALL0(segments); CALL0(stage);
  CALL1(init); CALL1(grow); CALL1(find); CALL1(next); CALL1(detach);
  CALL1(accumulator); CALL1(forget); CALL1(retired); CALL1(rows); CALL1(group); CALL1(dissolve); CALL1(decode);
  CALL2(attach); CALL2(define); CALL2(retire);
  CALL2F(allocate); CALL2F(free);
  NAMED(oldest) return CORE(oldest)(&core, INDEX(0));
  NAMED(accumulate)
    return (s32)CORE(accumulate)(&core, INDEX(0), INDEX(1), INDEX(2), INDEX(3));
  NAMED(reset) return CORE(reset)(&core), 0;
  NAMED(finish) return CORE(finish)(&core, INDEX(0)), 0;
  fprintf(stderr, "There is no export \"%s\"\n", name);
  exit(2);
}

enum { MOST_ARGUMENTS = 4, MOST_ADDRESSES = 8, LONGEST_LINE = 1 << 16 };

/* Where and what the case at hand is. */
static unsigned line;
static char name[128];
static bool failed;
static struct { char name[32]; u32 address; } addresses[MOST_ADDRESSES];
static unsigned address_count;

static void fail(const char *format, ...) {
  va_list values;
  va_start(values, format);
  printf("line %u of %s: ", line, name);
  vprintf(format, values);
  putchar('\n');
  va_end(values);
  failed = true;
}

static void bad_line(void) {
  fprintf(stderr, "Cannot run line %u of the vectors\n", line);
  exit(2);
}

/* The next word of the line, which strtok holds. */
static char *word(void) {
  char *next = strtok(NULL, " ");
  if (next == NULL) bad_line();
  return next;
}

/* The bytes at `address`, of which there must be `size`. */
static u8 *memory(u32 address, u32 size) {
  wasm_rt_memory_t *memory = CORE(memory)(&core);
  if ((u64)address + size > memory->size) bad_line();
  return (u8 *)memory->data + address;
}

/* "$NAME+BYTES" */
static u32 address_of(char *operand) {
  char *bytes = strchr(operand, '+');
  if (bytes != NULL) *bytes++ = '\0';
  for (unsigned i = 0; i < address_count; i++) {
    if (strcmp(addresses[i].name, operand + 1) != 0) continue;
    return addresses[i].address + (bytes == NULL ? 0 : strtoul(bytes, NULL, 10));
  }
  bad_line();
  return 0;
}

/* "FUNCTION ARG... = RESULT": true, and the numbers, when there is a RESULT. */
static bool run_call(double *got, double *wanted) {
  char *function = word();
  double arguments[MOST_ARGUMENTS] = {0};
  unsigned count = 0;
  char *operand;
  while ((operand = strtok(NULL, " ")) != NULL && strcmp(operand, "=") != 0) {
    if (count == MOST_ARGUMENTS) bad_line();
    arguments[count++] = strtod(operand, NULL);
  }
  *got = call(function, arguments);
  if (operand != NULL) *wanted = strtod(word(), NULL);
  return operand != NULL;
}

static void run_let(void) {
  char *to = word();
  unsigned i = 0;
  while (i < address_count && strcmp(addresses[i].name, to) != 0) i++;
  if (i == MOST_ADDRESSES || strlen(to) >= sizeof addresses[i].name) bad_line();
  if (i == address_count) strcpy(addresses[address_count++].name, to);
  double got, unused;
  run_call(&got, &unused);
  addresses[i].address = (u32)(s32)got;
}

static void run_put(void) {
  u32 address = address_of(word());
  char *hex = word();
  u8 *target = memory(address, strlen(hex) / 2);
  for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2) *target++ = byte;
}

static void run_peek(void) {
  s32 got;
  memcpy(&got, memory(address_of(word()), sizeof got), sizeof got);
  s32 wanted = strtol(word(), NULL, 10);
  if (got != wanted) fail("peek wanted %" PRId32 ", got %" PRId32, wanted, got);
}

static bool is_same(double a, double b) {
  if (a != a || b != b) return a != a && b != b;
  return memcmp(&a, &b, sizeof a) == 0;
}

static void run_result(void) {
  struct { double kind, value; u64 low; s64 high; } got;
  u32 index = strtoul(word(), NULL, 10);
  memcpy(&got, memory(CORE(results)(&core) + index * sizeof got, sizeof got), sizeof got);
  double kind = strtod(word(), NULL);
  double value = strtod(word(), NULL);
  u64 low = strtoull(word(), NULL, 10);
  s64 high = strtoll(word(), NULL, 10);
  if (got.kind == kind && is_same(got.value, value) && got.low == low && got.high == high) return;
  fail("result %" PRIu32 " wanted %g %.17g %" PRIu64 " %" PRId64 ", got %g %.17g %" PRIu64
       " %" PRId64, index, kind, value, low, high, got.kind, got.value, got.low, got.high);
}

static void run_statement(const char *statement) {
  if (strcmp(statement, "let") == 0) run_let();
  else if (strcmp(statement, "put") == 0) run_put();
  else if (strcmp(statement, "peek") == 0) run_peek();
  else if (strcmp(statement, "result") == 0) run_result();
  else if (strcmp(statement, "call") == 0) {
    double got, wanted;
    if (run_call(&got, &wanted) && !is_same(got, wanted)) {
      fail("call wanted %.17g, got %.17g", wanted, got);
    }
  } else bad_line();
}

static unsigned passed, total;

static void end_case(void) {
  if (name[0] == '\0') return;
  total++;
  if (!failed) passed++;
  wasm2c_core_free(&core);
}

static void begin_case(void) {
  end_case();
  snprintf(name, sizeof name, "%s", word());
  failed = false;
  address_count = 0;
  memset(&core, 0, sizeof core);
  wasm2c_core_instantiate(&core);
}

static void run_file(const char *path) {
  static char text[LONGEST_LINE];
  FILE *file = fopen(path, "r");
  if (file == NULL) {
    perror(path);
    exit(2);
  }
  for (line = 1; fgets(text, sizeof text, file) != NULL; line++) {
    char *end = strchr(text, '\n');
    if (end == NULL) bad_line();
    *end = '\0';
    if (text[0] == '#' || text[0] == '\0') continue;
    char *statement = strtok(text, " ");
    if (strcmp(statement, "case") == 0) begin_case();
    else if (name[0] == '\0') bad_line();
    else if (failed) continue;
    else if (wasm_rt_impl_try() != 0) fail("the core trapped");
    else run_statement(statement);
  }
  fclose(file);
}

int main(int count, char **paths) {
  wasm_rt_init();
  for (int i = 1; i < count; i++) run_file(paths[i]);
  end_case();
  wasm_rt_free();
  printf("%u of %u cases passed\n", passed, total);
  return total > 0 && passed == total ? 0 : 1;
}
