/* A plug-in: allocates, keeps what it is told to; plugin_host loads and unloads it. */
#include <stdlib.h>

__attribute__((noinline, visibility("default"))) void* plugin_allocates(size_t n) {
  void* volatile p = malloc(n);
  return p;
}

__attribute__((visibility("default"))) void plugin_frees(void* p) { free(p); }
