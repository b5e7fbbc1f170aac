// The cost of one malloc and free: the same block again and again, then random blocks among 100,000
// live ones. Prints nanoseconds per pair.

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const long kPairs = 20000000;
static const long kLive = 100000;

static double Now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void Tight(void) {
  void* volatile p;
  for (long i = 0; i < kPairs; i++) {
    p = malloc(16 + (i & 127));
    free(p);
  }
}

static void Random(void** blocks) {
  unsigned x = 1;
  for (long i = 0; i < kPairs; i++) {
    x = x * 1664525u + 1013904223u;
    long j = (x >> 8) % kLive;
    free(blocks[j]);
    blocks[j] = malloc(16 + (x >> 24));
  }
}

int main(void) {
  double start = Now();
  Tight();
  printf("%.2f ns/pair tight\n", (Now() - start) / kPairs);
  void** blocks = calloc(kLive, sizeof(void*));
  start = Now();
  Random(blocks);
  printf("%.2f ns/pair random-live-100k\n", (Now() - start) / kPairs);
}
