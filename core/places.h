// Where live regions are put: what the library that makes them and the tool that finds them must
// agree about.
//
// In turn: MEMTRACE_DIR if it is set, and then nowhere else; else memtrace-UID in kSharedMemory, in
// TMPDIR, and in kTemporary where TMPDIR is not set. A folder is used when it is the user's alone
// (mode 0700) and its file system has kLeastRoom left. Where no folder is, the library records in
// private memory, which nobody else can read.

#ifndef MEMTRACE_CORE_PLACES_H_
#define MEMTRACE_CORE_PLACES_H_

#include <cstdint>

namespace memtrace {

inline constexpr char kSharedMemory[] = "/dev/shm";
inline constexpr char kTemporary[] = "/tmp";

// With less than that a small shell's records would be lost in part.
inline constexpr uint64_t kLeastRoom = uint64_t{1} << 20;

// Regions outlive their processes. A process that starts in a folder with so many removes those of
// processes that have ended, until a quarter is gone: first what exited in order, then what was
// killed, the oldest first. What started in the last kKeptSeconds stays. On a file system that is
// more than half full there may be fewer, of any age. In the folder of a `memtrace run` the tool
// sees to it instead (tools/cli/ended_processes.h), and nothing is lost.
inline constexpr uint32_t kMostRegions = 1000;
inline constexpr uint32_t kMostRegionsOfHalfFull = 64;
inline constexpr uint32_t kKeptSeconds = 60;

}  // namespace memtrace

#endif  // MEMTRACE_CORE_PLACES_H_
