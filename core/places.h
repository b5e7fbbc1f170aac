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

}  // namespace memtrace

#endif  // MEMTRACE_CORE_PLACES_H_
