// The benchmark's own process. The recorder starts by itself in a program that links it; its region
// goes to $MEMTRACE_DIR if that is set, else to a folder that is removed at the end. No hook of
// libc is linked: nothing is recorded but what the benchmark drives.

#include <stdlib.h>
#include <string.h>

#include <filesystem>

namespace {

char g_folder[] = "/tmp/memtrace-bench-XXXXXX";
bool g_made = false;

// Before the recorder's own constructor, which has no priority.
__attribute__((constructor(101))) void ChooseFolder() {
  unsetenv("MEMTRACE_DISABLE");
  unsetenv("MEMTRACE_STACK_DEPTH");
  if (getenv("MEMTRACE_DIR") != nullptr || mkdtemp(g_folder) == nullptr) return;
  g_made = true;
  setenv("MEMTRACE_DIR", g_folder, 1);
}

__attribute__((destructor(101))) void RemoveFolder() {
  std::error_code ignored;
  if (g_made) std::filesystem::remove_all(g_folder, ignored);
}

}  // namespace
