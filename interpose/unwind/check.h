// The self-check of incremental unwinding (MEMTRACE_UNWIND_CHECK): each stack that was followed by
// rules is taken once more as a whole, by a backend, and compared: its addresses, and what they are
// shown as.
//
// Results are counted in Header::stacks_checked and stacks_different; the first few differences are
// said on standard error. Very slow: every event is unwound twice.

#ifndef MEMTRACE_INTERPOSE_UNWIND_CHECK_H_
#define MEMTRACE_INTERPOSE_UNWIND_CHECK_H_

#include <cstdint>

#include "interpose/unwind/incremental.h"
#include "interpose/unwind/unwind.h"

namespace memtrace::unwind {

// To be called right after FollowStack has given `node`.
void CheckStack(Thread* t, NativeStack* s, const Place& from, uint32_t node, const Backend& full);

}  // namespace memtrace::unwind

#endif  // MEMTRACE_INTERPOSE_UNWIND_CHECK_H_
