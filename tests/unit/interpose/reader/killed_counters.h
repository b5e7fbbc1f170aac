// What killed_program.cc tells killed_test.cc of itself, in a shared file.

#ifndef MEMTRACE_TESTS_UNIT_INTERPOSE_READER_KILLED_COUNTERS_H_
#define MEMTRACE_TESTS_UNIT_INTERPOSE_READER_KILLED_COUNTERS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace memtrace {

inline constexpr size_t kKillThreads = 4;

// Of the blocks of one thread, which it allocates alone and others free, too.
struct alignas(64) KillCounters {
  std::atomic<int64_t> begun, done, free_begun, free_done;
};

inline constexpr size_t KillBytes(size_t thread) { return 7001 + 16 * thread; }

}  // namespace memtrace

#endif  // MEMTRACE_TESTS_UNIT_INTERPOSE_READER_KILLED_COUNTERS_H_
