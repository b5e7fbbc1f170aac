/* A library for RTLD_DEEPBIND: its malloc is the C library's own, whatever stands in front of it.
 */
#include <stdlib.h>

__attribute__((visibility("default"))) void* around_malloc(size_t n) { return malloc(n); }
__attribute__((visibility("default"))) void* around_realloc(void* p, size_t n) {
  return realloc(p, n);
}
__attribute__((visibility("default"))) void around_free(void* p) { free(p); }
