// Ways to walk the calling thread's native stack: one header, one file for each.
//
// Used when native stacks are wanted (native.h). The caller has marked the thread busy, so what a
// backend allocates is not recorded, and holds no lock of ours. None may hurt the program: memory
// that may not be mapped is not read, errno is the caller's to keep.

#ifndef MEMTRACE_INTERPOSE_UNWIND_UNWIND_H_
#define MEMTRACE_INTERPOSE_UNWIND_UNWIND_H_

#include <cstdint>

namespace memtrace::unwind {

inline constexpr int kMaxFrames = 1024;
// Frames of the library itself, which are on the stack, too: the hook and what it calls.
inline constexpr int kOwnFrames = 64;
// What a backend writes into. Not on the program's stack, of which there may be little.
using Addresses = uintptr_t[kMaxFrames + kOwnFrames];

// The function that called the hook, as it was when it did: where the call returns to, and the
// registers there.
struct Place {
  uintptr_t pc;  // return address
  uintptr_t sp;  // after the return
  uintptr_t bp;  // rbp, frame pointer or not
};

struct Backend {
  const char* name;
  // Makes it usable, once, before the first capture. False: it is not on this machine.
  bool (*init)();
  // Return addresses, innermost first, addresses[0] = from.pc, at most max. How many; 0: the stack
  // cannot be walked from here. *cut is set when it ends before the outermost frame. There is room
  // for kOwnFrames more than max.
  int (*capture)(const Place& from, uintptr_t* addresses, int max, bool* cut);
};

// For backends that begin with their own frames: drops what is inside of from.pc.
inline int WithoutOwn(const Place& from, uintptr_t* addresses, int depth, int max, bool* cut) {
  int first = 0;
  while (first < depth && addresses[first] != from.pc) first++;
  const int found = depth - first;
  const int count = found < max ? found : max;
  for (int i = 0; i < count; i++) addresses[i] = addresses[first + i];
  *cut = count < found;
  return count;
}

extern const Backend kLibunwind;      // unw_backtrace, with its cache
extern const Backend kFramePointers;  // rbp chains: for code that keeps them
extern const Backend kBoost;          // Boost.Stacktrace's safe_dump_to: wherever that runs

}  // namespace memtrace::unwind

#endif  // MEMTRACE_INTERPOSE_UNWIND_UNWIND_H_
