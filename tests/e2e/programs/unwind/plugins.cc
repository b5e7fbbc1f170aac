// `plugins A.so B.so`: two libraries that lie at the same address in turn.

#include <dlfcn.h>

#include "plugin.h"
#include "truth.h"

static void Push(const char* name) {
  // The name lies in a library that will be closed.
  static char names[8][16];
  int i = 0;
  while (names[i][0] != 0 && strcmp(names[i], name) != 0) i++;
  strcpy(names[i], name);
  truth::t_shadow.names[truth::t_shadow.depth++] = names[i];
}
static void Pop() { truth::t_shadow.depth--; }

extern "C" {
NOINLINE void Deeper(int depth, void (*enter)(const PluginHost*)) {
  FUNCTION;
  static const PluginHost kHost = {Push, Pop, Allocate};
  if (depth > 0) Deeper(depth - 1, enter);
  if (depth == 0) enter(&kHost);
}

NOINLINE uintptr_t Uses(const char* path, int depth) {
  FUNCTION;
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) abort();
  void* enter = dlsym(library, "Enter");
  for (int i = 0; i < 10; i++) Deeper(depth, reinterpret_cast<void (*)(const PluginHost*)>(enter));
  dlclose(library);
  return reinterpret_cast<uintptr_t>(enter);
}
}

int main(int argc, char** argv) {
  FUNCTION;
  if (argc != 3) return 64;
  int same = 0;
  for (int i = 0; i < 100; i++) {
    const uintptr_t first = Uses(argv[1], 2);
    const uintptr_t second = Uses(argv[2], 2);
    same += first == second;
  }
  if (same < 50) return 2;  // nothing is shown by this machine
  return 0;
}
