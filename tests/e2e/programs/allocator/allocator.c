/* An allocator of its own kind, for next_allocator to link: a bump allocator that aborts when it is
 * given a pointer that is not its own. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static char heap[64u << 20] __attribute__((aligned(4096)));
static size_t heap_used;

static void* bump(size_t alignment, size_t n) {
  size_t at = __atomic_load_n(&heap_used, __ATOMIC_RELAXED), begin;
  do {
    begin = (at + 16 + alignment - 1) & ~(alignment - 1);
  } while (!__atomic_compare_exchange_n(&heap_used, &at, begin + n + 1, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
  if (begin + n > sizeof heap) return NULL;
  memcpy(heap + begin - 8, &n, 8);
  return heap + begin;
}
static size_t size_of(void* p) {
  size_t n;
  if ((char*)p < heap || (char*)p >= heap + sizeof heap) abort(); /* not ours */
  memcpy(&n, (char*)p - 8, 8);
  return n;
}
void* malloc(size_t n) { return bump(16, n); }
void* calloc(size_t k, size_t n) { return bump(16, k * n); }
void free(void* p) {
  if (p) size_of(p);
}
void* realloc(void* p, size_t n) {
  void* moved = bump(16, n);
  if (p && moved) memcpy(moved, p, size_of(p) < n ? size_of(p) : n);
  return moved;
}
void* memalign(size_t a, size_t n) { return bump(a, n); }
void* aligned_alloc(size_t a, size_t n) { return bump(a, n); }
int posix_memalign(void** out, size_t a, size_t n) { return (*out = bump(a, n)) ? 0 : ENOMEM; }
size_t malloc_usable_size(void* p) { return p ? size_of(p) : 0; }
