/* A library of the soak: it is built several times, each with a number of its own, by which its
 * functions are named and as large as no other's, so that they come to lie at changing addresses.
 */
#include <stdlib.h>

#define JOIN(a, b) a##b
#define NAME(a, b) JOIN(a, b)

__attribute__((visibility("default"))) char NAME(padding_, PLUGIN)[1 + PLUGIN * 5 * 4096];

__attribute__((noinline, visibility("default"))) void* NAME(site_plugin_, PLUGIN)(size_t n) {
  void* volatile p = malloc(n);
  return p;
}

__attribute__((visibility("default"))) void* plugin_allocates(size_t n) {
  void* volatile p = NAME(site_plugin_, PLUGIN)(n);
  return p;
}
