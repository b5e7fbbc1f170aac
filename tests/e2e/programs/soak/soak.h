/* What the parts of the soak share; see soak.c. */
#ifndef MEMTRACE_TESTS_E2E_SOAK_H_
#define MEMTRACE_TESTS_E2E_SOAK_H_

#include <stdint.h>
#include <stdlib.h>

/* xorshift64*, seeded: the same choices in each run, whatever order threads make them in. */
static inline uint64_t next_random(uint64_t* state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * 0x2545f4914f6cdd1dull;
}
static inline size_t below(uint64_t* state, size_t n) { return (next_random(state) >> 33) % n; }

extern int time_is_up(void);
/* Waits while the program has used more than its share of a processor. */
extern void pace(void);
/* A block that somebody made and nobody holds: the caller's from now on, or NULL. */
extern void* take_any(uint64_t* random);

/* What a child says of itself in memory that outlives it; the test reads the file. */
struct child_record {
  int32_t pid;
  int32_t kind;
  int64_t begun, done, free_begun, free_done; /* events of site_in_child */
};
enum { CHILD_EXITS = 1, CHILD_KILLED, CHILD_EXECS, CHILD_FORKS, CHILD_KINDS };
#define MOST_CHILDREN 16384
#define CHILD_BYTES 40

void open_records(const char* path);
void forget_records(void);
void* fork_children(void* seed); /* a thread; until time is up */
int leaf(const char* records, const char* index);

#endif /* MEMTRACE_TESTS_E2E_SOAK_H_ */
