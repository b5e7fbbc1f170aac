/* Two libraries of the same shape, one after the other at the same address: libsecond.c has the
 * same code under another name. */
#include <stdlib.h>

#ifndef NAME
#define NAME first_allocates
#endif

__attribute__((noinline, visibility("default"))) void* NAME(size_t n) {
  void* volatile p = malloc(n);
  return p;
}
