/* Allocates in C until the process ends: for threads of Python's that are away when it is
 * finalised. */
#include <stdlib.h>

__attribute__((visibility("default"))) void allocates_for_ever(void) {
  for (unsigned i = 0;; i++) free(malloc(i % 700));
}
