// libunwind's cached backtrace.
//
// The library is opened privately and only when it is wanted: preloading it would put its
// `backtrace` and `_Unwind_*` in front of the host's own.

#include <dlfcn.h>

#include "interpose/unwind/unwind.h"

namespace memtrace::unwind {
namespace {

using BacktraceFunction = int (*)(void**, int);
constinit BacktraceFunction g_backtrace = nullptr;
constexpr int kOwnFrames = 64;  // the hook and what it calls are on the stack, too

bool Init() {
  void* library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return false;
  g_backtrace = reinterpret_cast<BacktraceFunction>(dlsym(library, "unw_backtrace"));
  return g_backtrace != nullptr;
}

int Capture(const Place& from, uintptr_t* addresses, int max, bool* cut) {
  void* all[kMaxFrames + kOwnFrames];
  const int depth = g_backtrace(all, max + kOwnFrames);
  int first = 0;
  while (first < depth && reinterpret_cast<uintptr_t>(all[first]) != from.pc) first++;
  int count = 0;
  int i = first;
  for (; i < depth && count < max; i++) addresses[count++] = reinterpret_cast<uintptr_t>(all[i]);
  *cut = i < depth;
  return count;
}

}  // namespace

extern constexpr Backend kLibunwind = {"libunwind", Init, Capture};

}  // namespace memtrace::unwind
