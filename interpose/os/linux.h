// What the files that implement os.h for Linux share.

#ifndef MEMTRACE_INTERPOSE_OS_LINUX_H_
#define MEMTRACE_INTERPOSE_OS_LINUX_H_

#include <cstdint>

namespace memtrace::os {

// Field 22 of /proc/PID/stat; 0: there is no such process, or it is a zombie.
uint64_t ProcessStartOf(int pid);

// Removes regions of processes that have ended, when there are many. Takes a few microseconds when
// there are not.
void MakeRoom(const char* folder);

}  // namespace memtrace::os

#endif  // MEMTRACE_INTERPOSE_OS_LINUX_H_
