// The mappings of a living process as the kernel tells of them: /proc/PID/smaps.
//
// The text is not of one moment: the process goes on while it is read, and each mapping is as it
// was when its lines were made.
//
// Errors: NotFound when the process is gone, PermissionDenied when it may not be looked at; a
// sentence without the pid.

#ifndef MEMTRACE_TOOLS_READ_SMAPS_H_
#define MEMTRACE_TOOLS_READ_SMAPS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace memtrace {

struct Vma {
  uint64_t start = 0;
  uint64_t end = 0;
  bool readable = false;
  bool writable = false;
  bool shared = false;
  uint64_t inode = 0;
  uint64_t rss = 0;      // bytes
  bool no_huge = false;  // madvise: no huge pages
  bool no_dump = false;  // not in core dumps
  bool no_swap = false;  // without a reservation of swap
  bool guarded = false;  // MADV_GUARD_INSTALL inside
  std::string name;      // path, "[heap]", ...; "" for anonymous memory

  uint64_t size() const { return end - start; }
  bool anonymous() const { return name.empty(); }
};

// In the order of addresses, without overlap: lines that break it are left out.
std::vector<Vma> ParseSmaps(absl::string_view text);

absl::StatusOr<std::vector<Vma>> ReadSmaps(int32_t pid);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_SMAPS_H_
