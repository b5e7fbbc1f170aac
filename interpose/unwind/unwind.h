// The native stack of the calling thread: one header, one file for each backend.
//
// Used when native stacks are wanted (MEMTRACE_NATIVE=1). The caller has marked the thread busy, so
// what the backend allocates is not recorded, and holds no lock.

#ifndef MEMTRACE_INTERPOSE_UNWIND_UNWIND_H_
#define MEMTRACE_INTERPOSE_UNWIND_UNWIND_H_

#include <cstdint>

namespace memtrace::unwind {

inline constexpr int kMaxFrames = 256;

// Makes Capture usable. False: the backend is not on this machine.
bool Init();

// Return addresses, innermost first, starting with the caller of this function. How many.
int Capture(uintptr_t* addresses, int max);

// Name of the backend, for reports.
const char* Backend();

}  // namespace memtrace::unwind

#endif  // MEMTRACE_INTERPOSE_UNWIND_UNWIND_H_
