// What the files that implement os.h for Linux share.

#ifndef MEMTRACE_INTERPOSE_OS_LINUX_H_
#define MEMTRACE_INTERPOSE_OS_LINUX_H_

#include <sys/resource.h>

#include <cstddef>
#include <cstdint>

namespace memtrace::os {

// Field 22 of /proc/PID/stat; 0: there is no such process, or it is a zombie.
uint64_t ProcessStartOf(int pid);

// Removes regions of processes that have ended, when there are many. Takes a few microseconds when
// there are not.
void MakeRoom(const char* folder);

// The kernel's own: libc's functions are hooked, and what they map is the program's.
void* KernelMap(size_t bytes, int protection, int flags, int fd);
void KernelUnmap(void* address, size_t bytes);

// The kernel's own prlimit, without the program's view of it.
int KernelLimit(int pid, int resource, const rlimit* wanted, rlimit* old);

// Maps memory for the recorder, not at the cost of the program's limits, and counts it.
void* LimitedReserve(size_t bytes, void* (*map)(size_t));
void CountRelease(size_t bytes);
void CountShared(int64_t bytes);

}  // namespace memtrace::os

#endif  // MEMTRACE_INTERPOSE_OS_LINUX_H_
