// The clocks that regions are written by.

#ifndef MEMTRACE_TOOLS_READ_CLOCK_H_
#define MEMTRACE_TOOLS_READ_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace memtrace {

inline int64_t NanosOf(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}
inline int64_t BootNanos() { return NanosOf(CLOCK_BOOTTIME); }
inline int64_t RealNanos() { return NanosOf(CLOCK_REALTIME); }

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_CLOCK_H_
