/* A peak that is known: peaks [THREADS].
 *
 * One thread: a random walk of malloc, realloc and free, whose peak is counted event by event.
 *
 * Several: phases between barriers. In a phase that climbs nobody frees, so the highest total is
 * the one at the barrier, whatever the order of the threads; in one that falls nobody allocates.
 * The second climb goes highest. What follows stays far below it, in single blocks larger than the
 * bound of the peak, so that counting them at the wrong moment would show. */
#include "known.h"

#define MOST_THREADS 32
#define BLOCKS 2000
#define STEPS 60000

DEFINE_SITE(site_walk, (size_t n), n, malloc(n))
DEFINE_REALLOC_SITE(site_walk_again, (void* p, size_t n), p, n, realloc(p, n))
DEFINE_SITE(site_first_climb, (size_t n), n, malloc(n))
DEFINE_SITE(site_second_climb, (size_t n), n, malloc(n))
DEFINE_REALLOC_SITE(site_grown, (void* p, size_t n), p, n, realloc(p, n))
DEFINE_SITE(site_after, (size_t n), n, malloc(n))

static unsigned random_state = 12345;

static unsigned random_below(unsigned n) {
  random_state = random_state * 1664525u + 1013904223u;
  return (random_state >> 8) % n;
}

static void walk(void) {
  static void* blocks[BLOCKS];
  for (int step = 0; step < STEPS; step++) {
    /* Half way the walk turns from mostly growing to mostly shrinking. */
    const unsigned frees = step < STEPS / 2 ? 4 : 6;
    void** block = &blocks[random_below(BLOCKS)];
    if (*block == NULL) {
      *block = site_walk(1 + random_below(3000));
    } else if (random_below(10) < frees) {
      known_free(*block);
      *block = NULL;
    } else {
      *block = site_walk_again(*block, 1 + random_below(5000));
    }
  }
}

static void* first[MOST_THREADS][BLOCKS];
static void* second[MOST_THREADS][BLOCKS];
static pthread_barrier_t barrier;
static size_t threads;

static void* climb(void* argument) {
  const size_t self = (size_t)argument, neighbour = (self + 1) % threads;
  for (size_t i = 0; i < BLOCKS; i++) first[self][i] = site_first_climb(10 + (i * 3 + self) % 200);
  pthread_barrier_wait(&barrier);
  for (size_t i = 0; i < BLOCKS; i++) {
    if (i % 3 != 0) known_free(first[neighbour][i]);
  }
  pthread_barrier_wait(&barrier);
  for (size_t i = 0; i < BLOCKS; i++) {
    second[self][i] = site_second_climb(50 + (i * 7 + self) % 400);
    if (i % 4 == 0) second[self][i] = site_grown(second[self][i], 600 + i % 100);
  }
  pthread_barrier_wait(&barrier); /* the peak */
  for (size_t i = 0; i < BLOCKS; i++) known_free(second[neighbour][i]);
  pthread_barrier_wait(&barrier);
  for (size_t i = 0; i < BLOCKS; i++) known_free(site_after(100000 + i % 50));
  pthread_barrier_wait(&barrier);
  return NULL;
}

int main(int argc, char** argv) {
  threads = argc > 1 ? (size_t)atoi(argv[1]) : 1;
  if (threads == 0 || threads > MOST_THREADS) return 2;
  if (threads == 1) {
    walk();
  } else {
    pthread_t running[MOST_THREADS];
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    for (size_t i = 0; i < threads; i++) pthread_create(&running[i], NULL, climb, (void*)i);
    for (size_t i = 0; i < threads; i++) pthread_join(running[i], NULL);
  }
  known_pause();
  return 0;
}
