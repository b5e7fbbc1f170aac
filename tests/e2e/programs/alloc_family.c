/* Every allocating function of the C library, one site each, in one thread. */
#include <malloc.h>

#include "known.h"

// clang-format off
DEFINE_SITE(site_malloc, (size_t n), n, malloc(n))
DEFINE_SITE(site_malloc_zero, (void), 0, malloc(0))
DEFINE_SITE(site_malloc_huge_fails, (void), 0, malloc((size_t)1 << 62))
DEFINE_SITE(site_malloc_mapped, (size_t n), n, malloc(n))
DEFINE_SITE(site_calloc, (size_t k, size_t n), k* n, calloc(k, n))
DEFINE_SITE(site_calloc_overflow, (void), 0, calloc((size_t)1 << 33, (size_t)1 << 33))
DEFINE_SITE(site_aligned_alloc, (size_t a, size_t n), n, aligned_alloc(a, n))
DEFINE_SITE(site_memalign, (size_t a, size_t n), n, memalign(a, n))
DEFINE_SITE(site_valloc, (size_t n), n, valloc(n))
DEFINE_SITE(site_pvalloc, (size_t n), n, pvalloc(n))
DEFINE_SITE(site_realloc_null, (size_t n), n, realloc(NULL, n))
DEFINE_REALLOC_SITE(site_realloc_grow, (void* p, size_t n), p, n, realloc(p, n))
DEFINE_REALLOC_SITE(site_realloc_shrink, (void* p, size_t n), p, n, realloc(p, n))
DEFINE_REALLOC_SITE(site_realloc_same, (void* p, size_t n), p, n, realloc(p, n))
DEFINE_REALLOC_SITE(site_realloc_fails, (void* p), p, (size_t)1 << 62, realloc(p, (size_t)1 << 62))
DEFINE_REALLOC_SITE(site_realloc_to_zero, (void* p), p, 0, realloc(p, 0))
DEFINE_REALLOC_SITE(site_reallocarray, (void* p, size_t k, size_t n), p, k* n, reallocarray(p, k, n))
DEFINE_REALLOC_SITE(site_reallocarray_overflow, (void* p), p, 1, reallocarray(p, (size_t)1 << 33, (size_t)1 << 33))
static void* my_posix_memalign(size_t alignment, size_t n);
DEFINE_SITE(site_freed_at_once, (size_t n), n, malloc(n))
DEFINE_SITE(site_peak_only, (size_t n), n, malloc(n))

KNOWN_SITE(site_posix_memalign);
// clang-format on
NOINLINE int site_posix_memalign(void** out, size_t alignment, size_t n) {
  site_posix_memalign_known.line = __LINE__ + 1;
  int status = posix_memalign(out, alignment, n);
  if (status == 0) known_allocated(&site_posix_memalign_known, *out, n);
  return status;
}

static void* my_posix_memalign(size_t alignment, size_t n) {
  void* p = NULL;
  return site_posix_memalign(&p, alignment, n) == 0 ? p : NULL;
}

/* `count` blocks of growing size; every third one is freed again. */
#define MANY(count, expression)          \
  for (size_t i = 0; i < (count); i++) { \
    void* block = (expression);          \
    if (!block) abort();                 \
    if (i % 3 == 0) known_free(block);   \
  }

static void plain(void) {
  MANY(1000, site_malloc(1 + i % 700));
  MANY(30, site_malloc_zero());
  MANY(9, site_malloc_mapped((size_t)300000 + i));
  MANY(500, site_calloc(1 + i % 9, 1 + i % 50));
  MANY(60, site_aligned_alloc(64, 64 * (1 + i)));
  MANY(60, site_memalign((size_t)16 << i % 8, 3 + i));
  MANY(60, my_posix_memalign((size_t)8 << i % 8, 5 + i));
  MANY(12, site_valloc(100 + i));
  MANY(12, site_pvalloc(100 + i));
  MANY(5000, site_freed_at_once(24));
}

static void failures(void) {
  void* out = NULL;
  if (site_malloc_huge_fails() || site_calloc_overflow()) abort();
  if (site_posix_memalign(&out, 24, 10) == 0) abort(); /* not a power of two */
}

static void reallocs(void) {
  for (size_t i = 0; i < 300; i++) {
    void* p = site_realloc_null(10 + i);
    switch (i % 6) {
      case 0:
        p = site_realloc_grow(p, 5000 + i);
        break;
      case 1:
        p = site_realloc_shrink(p, 3);
        break;
      case 2:
        p = site_realloc_same(p, 10 + i);
        break;
      case 3:
        if (site_realloc_fails(p)) abort();
        break;
      case 4:
        p = site_realloc_to_zero(p);
        break;
      case 5:
        p = site_reallocarray(p, 7, i);
        break;
    }
    if (i % 10 == 0) known_free(p);
    if (i % 10 == 3) site_reallocarray_overflow(p);
  }
  void* big = site_realloc_null(1 << 20); /* mremap inside the allocator */
  big = site_realloc_grow(big, 9 << 20);
  site_realloc_shrink(big, 2 << 20);
}

int main(void) {
  plain();
  failures();
  reallocs();
  for (int i = 0; i < 20; i++) known_free(site_peak_only((size_t)(10 + i) << 20));
  free(NULL);
  known_pause();
  return 0;
}
