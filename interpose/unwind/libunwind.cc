// libunwind's cached backtrace.
//
// The library is opened privately and only when native stacks are wanted: preloading it would put
// its `backtrace` and `_Unwind_*` in front of the host's own.

#include <dlfcn.h>

#include "interpose/unwind/unwind.h"

namespace memtrace::unwind {

namespace {
using BacktraceFunction = int (*)(void**, int);
constinit BacktraceFunction g_backtrace = nullptr;
}  // namespace

bool Init() {
  void* library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return false;
  g_backtrace = reinterpret_cast<BacktraceFunction>(dlsym(library, "unw_backtrace"));
  return g_backtrace != nullptr;
}

int Capture(uintptr_t* addresses, int max) {
  return g_backtrace != nullptr ? g_backtrace(reinterpret_cast<void**>(addresses), max) : 0;
}

const char* Backend() { return "libunwind"; }

}  // namespace memtrace::unwind
