/* Eight threads that free each other's blocks; what a thread's end frees; what outlives it. */
#include "known.h"

#define THREADS 8
#define BLOCKS 4000

DEFINE_SITE(site_handed_over, (size_t n), n, malloc(n))
DEFINE_SITE(site_thread_specific, (size_t n), n, malloc(n))
DEFINE_SITE(site_outlives_thread, (size_t n), n, malloc(n))
DEFINE_SITE(site_reallocated_elsewhere, (size_t n), n, malloc(n))
DEFINE_REALLOC_SITE(site_realloc_elsewhere, (void* p, size_t n), p, n, realloc(p, n))
DEFINE_SITE(site_churn, (size_t n), n, malloc(n))

static void* handed[THREADS][BLOCKS];
static void* outlives[THREADS][100];
static void* moved[THREADS];
static pthread_barrier_t barrier;
static pthread_key_t key;

static void free_at_thread_end(void* p) { known_free(p); }

static void* work(void* argument) {
  size_t self = (size_t)argument, neighbour = (self + 1) % THREADS;
  pthread_setspecific(key, site_thread_specific(77 + self));
  for (size_t i = 0; i < BLOCKS; i++) handed[self][i] = site_handed_over(1 + (i * 7 + self) % 500);
  moved[self] = site_reallocated_elsewhere(1000 + self);
  pthread_barrier_wait(&barrier);
  for (size_t i = 0; i < BLOCKS; i++) { /* three of four of the neighbour's, while it frees ours */
    if (i % 4) known_free(handed[neighbour][i]);
    known_free(site_churn(40 + i % 3));
  }
  moved[neighbour] = site_realloc_elsewhere(moved[neighbour], 9000 + self);
  for (size_t i = 0; i < 100; i++) outlives[self][i] = site_outlives_thread(300 + self);
  return NULL;
}

int main(void) {
  pthread_t threads[THREADS];
  pthread_barrier_init(&barrier, NULL, THREADS);
  pthread_key_create(&key, free_at_thread_end);
  for (size_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void*)i);
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (size_t t = 0; t < THREADS; t++)
    for (size_t i = 0; i < 100; i += 2) known_free(outlives[t][i]);
  known_pause();
  return 0;
}
