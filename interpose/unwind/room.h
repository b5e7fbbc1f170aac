// Whether unwinders of others find enough room on the stack that the program is on: libunwind takes
// six to eight KiB of it. Alternate signal stacks may be as small as that.

#ifndef MEMTRACE_INTERPOSE_UNWIND_ROOM_H_
#define MEMTRACE_INTERPOSE_UNWIND_ROOM_H_

#include <signal.h>

#include <cstdint>

namespace memtrace::unwind {

inline constexpr uintptr_t kEnoughRoom = 16 * 1024;

inline bool HasRoom() {
  stack_t stack;
  if (sigaltstack(nullptr, &stack) != 0 || (stack.ss_flags & SS_ONSTACK) == 0) return true;
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  return here - reinterpret_cast<uintptr_t>(stack.ss_sp) >= kEnoughRoom;
}

}  // namespace memtrace::unwind

#endif  // MEMTRACE_INTERPOSE_UNWIND_ROOM_H_
