// Source lines by file and line number: from the snapshot, which kept them when it was taken, else
// from the file, if it is still there.
//
// File names come from the snapshot and thus from anybody: only regular files of modest size are
// opened, and what is read is only ever shown, without control characters.
//
// Threading: none. Never fails: an unknown line is "".

#ifndef MEMTRACE_TOOLS_RENDER_SOURCE_LINES_H_
#define MEMTRACE_TOOLS_RENDER_SOURCE_LINES_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "tools/model/aggregate.h"
#include "tools/model/profile.h"

namespace memtrace {

class SourceLines {
 public:
  explicit SourceLines(const Profile& profile);

  // Stripped of space at both ends.
  std::string Text(const Place& place);

 private:
  const std::vector<std::string>& Lines(const std::string& path);

  absl::flat_hash_map<std::pair<std::string, int64_t>, std::string> stored_;
  absl::flat_hash_map<std::string, std::vector<std::string>> files_;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_RENDER_SOURCE_LINES_H_
