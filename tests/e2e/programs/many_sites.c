/* Allocates at many places in many threads: many_sites THREADS PLACES.
 *
 * A place is a call of malloc of its own, 20,000 at most. Every thread visits its PLACES places
 * once, keeps every second block, and waits, alive, until standard input ends. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MOST 20000

static pthread_barrier_t barrier;
static long places;

/* The formatter does not come to rest on these. */
/* clang-format off */
/* Each use is a place: the compiler cannot join them, for their numbers differ. */
#define PLACE(n)                \
  if ((n) >= places) return;    \
  last = malloc(8 + (n) % 7);   \
  if ((n) % 2 != 0) free(last); \
  __asm__ volatile("" : : "r"(last), "i"(n) : "memory");
#define TEN(x, n, step)                                                                            \
  x(n) x(n + step) x(n + 2 * step) x(n + 3 * step) x(n + 4 * step) x(n + 5 * step) x(n + 6 * step) \
      x(n + 7 * step) x(n + 8 * step) x(n + 9 * step)
#define PLACES_10(n)                                                                         \
  PLACE(n)                                                                                   \
  PLACE(n + 1) PLACE(n + 2) PLACE(n + 3) PLACE(n + 4) PLACE(n + 5) PLACE(n + 6) PLACE(n + 7) \
      PLACE(n + 8) PLACE(n + 9)
#define PLACES_100(n)                                                                       \
  PLACES_10(n)                                                                              \
  PLACES_10(n + 10) PLACES_10(n + 20) PLACES_10(n + 30) PLACES_10(n + 40) PLACES_10(n + 50) \
      PLACES_10(n + 60) PLACES_10(n + 70) PLACES_10(n + 80) PLACES_10(n + 90)
/* A thousand in a function: a compiler's time grows faster than a function. */
#define VISIT(k)                                          \
  static __attribute__((noinline)) void visit_##k(void) { \
    void* last;                                           \
    TEN(PLACES_100, k * 1000, 100)                        \
  }
#define EACH(x)                                                                               \
  x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11) x(12) x(13) x(14) x(15) x(16) \
      x(17) x(18) x(19)
/* clang-format on */
EACH(VISIT)

static void* work(void* unused) {
  (void)unused;
#define CALL(k) visit_##k();
  EACH(CALL)
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  return NULL;
}

int main(int argc, char** argv) {
  const long threads = argc > 2 ? atol(argv[1]) : 0;
  places = argc > 2 ? atol(argv[2]) : 0;
  if (threads < 1 || places < 1 || places > MOST) return 2;
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 128 * 1024);
  pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
  for (long i = 0; i < threads; i++) {
    pthread_t thread;
    if (pthread_create(&thread, &small, work, NULL) != 0) return 3;
  }
  pthread_barrier_wait(&barrier);
  dprintf(1, "READY{\"threads\":%ld,\"places\":%ld}\n", threads, places);
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
  pthread_barrier_wait(&barrier);
  return 0;
}
