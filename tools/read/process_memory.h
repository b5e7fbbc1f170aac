// The memory of another process of this user, read from outside: which pages are there, and what
// is in them. The process is not stopped, and no page comes into being by being read.

#ifndef MEMTRACE_TOOLS_READ_PROCESS_MEMORY_H_
#define MEMTRACE_TOOLS_READ_PROCESS_MEMORY_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"

namespace memtrace {

inline constexpr uint64_t kPageBytes = 4096;

// Which pages of a range are in memory.
class PagesPresent {
 public:
  PagesPresent() = default;
  PagesPresent(uint64_t start, std::vector<uint8_t> present);

  bool Has(uint64_t address) const;
  // Bytes of [start, end) that are in pages that are there.
  uint64_t Bytes(uint64_t start, uint64_t end) const;

 private:
  uint64_t start_ = 0;
  std::vector<uint8_t> present_;
  std::vector<uint32_t> before_;  // pages that are there before page i; one more than pages
};

class ProcessMemory {
 public:
  // Address space that is looked at, of one process at most: what a process of more than that
  // takes is not located.
  static constexpr uint64_t kMostPages = uint64_t{1} << 25;

  explicit ProcessMemory(int32_t pid);
  ~ProcessMemory();
  ProcessMemory(const ProcessMemory&) = delete;
  ProcessMemory& operator=(const ProcessMemory&) = delete;

  // Start and end are whole pages.
  absl::Status Present(uint64_t start, uint64_t end, PagesPresent* out);

  // All or nothing. Only to be asked for pages that are present.
  absl::Status Read(uint64_t address, void* out, uint64_t bytes) const;

  // Words from `address` on; those in pages that are not there are 0. False in *any: all of them.
  absl::Status ReadSparse(uint64_t address, std::vector<uint32_t>* words, bool* any);

 private:
  const int32_t pid_;
  int pagemap_ = -1;
  int open_error_ = 0;
  uint64_t pages_ = 0;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_PROCESS_MEMORY_H_
