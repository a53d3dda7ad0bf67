// Another process that has just written the lines a sample reads: so they lie in the cache of its
// core, not of ours. Pinned by `taskset`. See just_written.ts for the same in TypeScript.
//
// writer FILE CONTROL: each time the first word of CONTROL changes, stores the first `words` words
// of the first `segments` segments anew, with the values they have, and copies the word to the
// second. The third to fifth words are `segments`, `segment size` and `words`. With a sixth word of 1
// it also has the lines written back to memory and out of all caches, where the processor can; what
// it can do it says in the seventh word. A negative first word ends the process.

#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#define CAN_FLUSH 1
#define FLUSH(address) _mm_clflush(address)
#else
#define CAN_FLUSH 0
#define FLUSH(address) (void)(address)
#endif

static void *map_file(const char *path) {
  int descriptor = open(path, O_RDWR);
  struct stat status;
  if (descriptor < 0 || fstat(descriptor, &status) != 0) exit(1);
  void *mapping = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                       descriptor, 0);
  if (mapping == MAP_FAILED) exit(1);
  return mapping;
}

int main(int count, char **arguments) {
  if (count != 3) return 1;
  uint8_t *file = map_file(arguments[1]);
  volatile int32_t *control = map_file(arguments[2]);
  pid_t parent = getppid();
  int32_t done = 0;
  control[6] = CAN_FLUSH;
  for (;;) {
    int32_t asked = __atomic_load_n(control, __ATOMIC_ACQUIRE);
    if (asked < 0 || getppid() != parent) return 0;
    if (asked == done) {
      // Not a busy loop: others may want this core, and a round starts soon enough.
      struct timespec pause = {0, 20000};
      nanosleep(&pause, NULL);
      continue;
    }
    for (int32_t segment = 0; segment < control[2]; segment++) {
      volatile uint64_t *word = (uint64_t *)(file + (size_t)segment * (size_t)control[3]);
      for (int32_t i = 0; i < control[4]; i++) word[i] = word[i];
      for (int32_t i = 0; control[5] != 0 && i < control[4]; i += 8) FLUSH((void *)(word + i));
    }
    done = asked;
    __atomic_store_n(control + 1, done, __ATOMIC_RELEASE);
  }
}
