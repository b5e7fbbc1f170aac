/* replaced_library FIRST SECOND: opens, uses and closes the two in turn; they get the same address.
 */
#include <dlfcn.h>

#include "known.h"

#define ROUNDS 20

KNOWN_SITE(first_allocates);
KNOWN_SITE(second_allocates);

static uintptr_t use(const char* path, const char* name, struct known_site* site, size_t bytes) {
  void* library = dlopen(path, RTLD_NOW);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  void* (*allocate)(size_t) = (void* (*)(size_t))dlsym(library, name);
  for (size_t i = 0; i < 10; i++) {
    void* p = known_allocated(site, allocate(bytes), bytes);
    if (i % 2) known_free(p);
  }
  const uintptr_t address = (uintptr_t)allocate;
  dlclose(library);
  return address;
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  int same = 0;
  for (int i = 0; i < ROUNDS; i++) {
    const uintptr_t first = use(argv[1], "first_allocates", &first_allocates_known, 100);
    same += use(argv[2], "second_allocates", &second_allocates_known, 300) == first;
  }
  if (same != ROUNDS) {
    fprintf(stderr, "the second library got the first one's address %d times\n", same);
    return 3;
  }
  first_allocates_known.line = second_allocates_known.line = 0;
  known_pause();
  return 0;
}
