// What reading any bytes may cost: time, and heap in proportion to the file.

#ifndef MEMTRACE_TESTS_UNIT_TOOLS_HOSTILE_LIMITS_H_
#define MEMTRACE_TESTS_UNIT_TOOLS_HOSTILE_LIMITS_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "tests/unit/tools/hostile/heap_meter.h"
#include "tests/unit/tools/read/well_formed.h"
#include "tools/model/profile.h"

namespace memtrace::testing {

inline constexpr int64_t kAllowedHeap = 64'000'000;
inline constexpr unsigned kSecondsForOne = 10;  // of a few milliseconds; the machine may be busy

// A reading that never ends is ended by SIGALRM, with what was read in the message before.
class Deadline {
 public:
  explicit Deadline(unsigned seconds) { alarm(seconds); }
  ~Deadline() { alarm(0); }
};

struct Outcome {
  int reads = 0;
  int errors = 0;
  int64_t highest_heap = 0;
  double longest_seconds = 0;
};

// Reads `file` by `read`: an error that says something, or a profile that is well formed, and at
// most kAllowedHeap + 4 * its size of heap.
template <typename Read>
void CheckOne(const std::string& file, const std::string& what, Read read, Outcome* outcome) {
  const Deadline deadline(kSecondsForOne);
  const auto start = std::chrono::steady_clock::now();
  const HeapMeter meter;
  const absl::StatusOr<Profile> profile = read(file);
  const int64_t heap = meter.Peak();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (profile.ok()) {
    ++outcome->reads;
    EXPECT_EQ(WhatIsMisplaced(*profile), "") << what;
  } else {
    ++outcome->errors;
    EXPECT_FALSE(profile.status().message().empty()) << what;
  }
  outcome->highest_heap = std::max(outcome->highest_heap, heap);
  outcome->longest_seconds = std::max(outcome->longest_seconds, seconds.count());
  EXPECT_LE(heap, kAllowedHeap + 4 * static_cast<int64_t>(file.size())) << what;
}

inline void Record(const Outcome& outcome) {
  ::testing::Test::RecordProperty("reads", outcome.reads);
  ::testing::Test::RecordProperty("errors", outcome.errors);
  std::printf("%d read, %d refused, at most %.1f MB and %.3f s\n", outcome.reads, outcome.errors,
              static_cast<double>(outcome.highest_heap) / 1e6, outcome.longest_seconds);
}

}  // namespace memtrace::testing

#endif  // MEMTRACE_TESTS_UNIT_TOOLS_HOSTILE_LIMITS_H_
