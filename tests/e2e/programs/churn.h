/* Work for programs that only have to go on: what they print depends on every block. */
#ifndef MEMTRACE_E2E_CHURN_H_
#define MEMTRACE_E2E_CHURN_H_

#include <stdlib.h>
#include <string.h>

/* Allocates, writes, moves and frees; returns a sum that depends on what the blocks held. */
static long churn(int rounds) {
  enum { kKept = 64 };
  unsigned char* kept[kKept] = {0};
  long sum = 0;
  for (int i = 0; i < rounds; i++) {
    unsigned char** place = &kept[i * 7 % kKept];
    if (*place) sum += **place;
    const size_t bytes = 1 + (size_t)i * 31 % 900;
    unsigned char* p = i % 3 ? realloc(*place, bytes) : (free(*place), malloc(bytes));
    if (!p) return -1;
    memset(p, i, bytes);
    *place = p;
  }
  for (int i = 0; i < kKept; i++) free(kept[i]);
  return sum;
}

#endif
