#include "tools/cli/region_follower.h"

#include "absl/strings/str_format.h"
#include "tools/read/processes.h"

namespace memtrace {

const RegionFile* RegionFollower::Look() {
  const uint64_t start = ProcessStart(pid_);
  for (uint32_t next = region_ == nullptr ? 0 : exec_index_ + 1;; ++next) {
    auto region =
        RegionFile::Open(absl::StrFormat("%s/%d-%d-%d.region", session_, pid_, start, next));
    if (!region.ok()) return region_.get();
    region_ = *std::move(region);
    exec_index_ = next;
  }
}

}  // namespace memtrace
