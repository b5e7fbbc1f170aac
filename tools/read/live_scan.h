// Where the live blocks of a process lie: its live table (interpose/live_table.h), read from
// outside.
//
// The process goes on meanwhile, so a block that is just being allocated or freed may be missing,
// or there, or of a wrong size; nobody may rely on more than that addresses lie in the range asked
// for. Only pages of the table that exist are read, so none come into being.
//
// Errors: a sentence that says why the blocks cannot be located.

#ifndef MEMTRACE_TOOLS_READ_LIVE_SCAN_H_
#define MEMTRACE_TOOLS_READ_LIVE_SCAN_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "core/live_shadow.h"
#include "tools/read/process_memory.h"

namespace memtrace {

class LiveScan {
 public:
  using Visit = absl::FunctionRef<void(uint64_t address, uint64_t bytes, uint32_t site)>;

  explicit LiveScan(ProcessMemory* memory) : memory_(*memory) {}

  // `live_table`: Header::live_table.
  absl::Status Open(uint64_t live_table);

  // Each block that starts in [start, end).
  absl::Status ForEach(uint64_t start, uint64_t end, Visit visit);

 private:
  absl::Status Window(uint64_t start, uint64_t end, Visit visit);
  absl::Status Finer(uint64_t base, uint64_t offset, uint64_t start, uint64_t end, Visit visit);
  uint32_t Coarse(uint64_t granule) const;
  uint64_t BytesAt(uint64_t granule, uint32_t word) const;

  ProcessMemory& memory_;
  LiveShadows shadows_ = {};
  uint64_t window_ = 0;             // where the words below begin
  std::vector<uint32_t> words_[2];  // of granules of even and odd number
  std::vector<uint32_t> finer_;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_LIVE_SCAN_H_
