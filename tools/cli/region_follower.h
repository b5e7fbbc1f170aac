// The region of the image that a process runs now: after exec it is another one.
#ifndef MEMTRACE_TOOLS_CLI_REGION_FOLLOWER_H_
#define MEMTRACE_TOOLS_CLI_REGION_FOLLOWER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "tools/read/region_file.h"

namespace memtrace {

class RegionFollower {
 public:
  RegionFollower(std::string session, int32_t pid) : session_(std::move(session)), pid_(pid) {}

  // nullptr: there is none so far. The pointer is good until the next call.
  const RegionFile* Look();
  uint32_t exec_index() const { return exec_index_; }
  const RegionFile* region() const { return region_.get(); }

 private:
  const std::string session_;
  const int32_t pid_;
  uint32_t exec_index_ = 0;
  std::unique_ptr<RegionFile> region_;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_REGION_FOLLOWER_H_
