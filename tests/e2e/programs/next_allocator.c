/* A program that is linked with an allocator of its own (liballocator.c), as many are with
 * jemalloc. It works only if every call of the family reaches that allocator, malloc_usable_size
 * included. */
#include <malloc.h>

#include "known.h"

DEFINE_SITE(site_own_malloc, (size_t n), n, malloc(n))
DEFINE_SITE(site_own_aligned, (size_t n), n, aligned_alloc(256, n))
DEFINE_REALLOC_SITE(site_own_realloc, (void* p, size_t n), p, n, realloc(p, n))

int main(void) {
  for (size_t i = 1; i < 1000; i++) {
    char* p = site_own_realloc(site_own_malloc(i), 2 * i);
    if (malloc_usable_size(p) != 2 * i) abort();
    if ((size_t)site_own_aligned(i) % 256) abort();
    free(strdup("something"));
    if (i % 2) known_free(p);
  }
  known_pause();
  return 0;
}
