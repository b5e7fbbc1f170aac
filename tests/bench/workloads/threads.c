// threads N: N threads of malloc and free, each with blocks of its own: random ones of 1000 that
// are alive. Prints pairs per second, all threads together, from when the first starts to when the
// last has ended.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { kMaxThreads = 64, kLive = 1000 };
static const long kPairs = 10000000;  // of each thread

static pthread_barrier_t start;

static double Now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void* Work(void* number) {
  void* blocks[kLive] = {0};
  unsigned x = 1 + (unsigned)(size_t)number;
  pthread_barrier_wait(&start);
  for (long i = 0; i < kPairs; i++) {
    x = x * 1664525u + 1013904223u;
    const unsigned j = (x >> 8) % kLive;
    free(blocks[j]);
    blocks[j] = malloc(16 + (x >> 24));
  }
  for (int i = 0; i < kLive; i++) free(blocks[i]);
  return NULL;
}

int main(int argc, char** argv) {
  const int count = argc == 2 ? atoi(argv[1]) : 0;
  if (count < 1 || count > kMaxThreads) return 2;
  pthread_t threads[kMaxThreads];
  pthread_barrier_init(&start, NULL, (unsigned)count + 1);
  for (int i = 0; i < count; i++) {
    if (pthread_create(&threads[i], NULL, Work, (void*)(size_t)i) != 0) return 1;
  }
  pthread_barrier_wait(&start);
  const double before = Now();
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
  printf("%.0f pairs/s\n", kPairs * (double)count / (Now() - before));
  return 0;
}
