/* plugin_host PLUGIN: loads, uses and unloads a plug-in many times. Its blocks must still be found
 * under its name when it is gone. */
#include <dlfcn.h>

#include "known.h"

#define ROUNDS 30

KNOWN_SITE(plugin_allocates);
DEFINE_SITE(site_in_host, (size_t n), n, malloc(n))

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  void* kept[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    void* plugin = dlopen(argv[1], RTLD_NOW);
    if (!plugin) {
      fprintf(stderr, "%s\n", dlerror());
      return 1;
    }
    void* (*allocate)(size_t) = (void* (*)(size_t))dlsym(plugin, "plugin_allocates");
    void (*release)(void*) = (void (*)(void*))dlsym(plugin, "plugin_frees");
    for (size_t k = 0; k < 10; k++) {
      void* p = allocate(500 + k);
      known_allocated(&plugin_allocates_known, p, 500 + k);
      if (k == 0) {
        kept[i] = p;
        continue;
      }
      known_freed(p);
      release(p);
    }
    dlclose(plugin);
    known_free(site_in_host(12));
  }
  for (int i = 0; i < ROUNDS; i += 2) known_free(kept[i]);
  plugin_allocates_known.line = 0;
  known_pause();
  return 0;
}
