// The labels of a stack, as one text: "outer/inner".
//
// Labels are nodes of kind kLabel between those of frames (core/layout.h). A label directly inside
// one of the same name, as a function that calls itself makes it, is not repeated.
//
// Bounds: kMostNested names make a text, of kMostBytes each; labels farther in belong to those. All
// texts together take kMostText: beyond that no new ones are made, likewise.
//
// Errors: as StackDecoder. Threading: none.

#ifndef MEMTRACE_TOOLS_READ_LABEL_READER_H_
#define MEMTRACE_TOOLS_READ_LABEL_READER_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "tools/model/profile.h"
#include "tools/read/region_file.h"
#include "tools/read/section_view.h"
#include "tools/read/stack_decoder.h"

namespace memtrace {

class LabelReader {
 public:
  static constexpr uint32_t kMostNested = 16;
  static constexpr size_t kMostBytes = 1024;
  static constexpr size_t kMostText = 4 << 20;

  LabelReader(const RegionFile& region, StackDecoder* stacks, Profile* profile);

  // 0: none. node: of kNodes.
  absl::StatusOr<StringId> Of(uint32_t node);

 private:
  static constexpr uint32_t kUnknown = UINT32_MAX;

  // Names inside one another; 0 is none.
  struct Path {
    StringId innermost = 0;
    StringId text = 0;
    uint32_t nested = 0;
  };

  uint32_t Known(uint32_t node) const {
    return node < paths_at_.size() ? paths_at_[node] : kUnknown;
  }
  uint32_t Inside(uint32_t path, StringId name);

  const bool any_;
  StackDecoder* const stacks_;
  Profile* const profile_;
  const SectionView nodes_;
  std::vector<uint32_t> paths_at_;  // by node
  std::vector<Path> paths_;
  absl::flat_hash_map<std::pair<uint32_t, StringId>, uint32_t> inside_;
  std::vector<std::pair<uint32_t, uint32_t>> climbed_;  // node, frame; kept for its memory
  size_t text_bytes_ = 0;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_LABEL_READER_H_
