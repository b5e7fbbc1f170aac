// Stacks of a region, made into stacks of a profile on demand.
//
// Only what samples refer to is looked at. Each frame and each node is decoded once; a damaged
// reference is an error that names it.

#ifndef MEMTRACE_TOOLS_READ_STACK_DECODER_H_
#define MEMTRACE_TOOLS_READ_STACK_DECODER_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tools/model/profile.h"
#include "tools/read/region_file.h"
#include "tools/read/section_view.h"
#include "tools/read/symbolize.h"

namespace memtrace {

class StackDecoder {
 public:
  // Deeper stacks lose their outer frames, and keep at least half as many: a file holds each stack
  // as a whole, and a recursion of 50,000 frames that allocates at each of its depths would make
  // one of gigabytes.
  static constexpr uint32_t kMaxDepth = 16'384;

  // `modules`: index = module id of the region.
  StackDecoder(const RegionFile& region, const std::vector<Module>& modules, Symbolizer* symbolizer,
               Profile* profile);

  // The Python stack alone. Marks of evaluations (FrameKind::kEvaluation) and labels are no part of
  // it.
  absl::StatusOr<NodeId> Node(uint32_t node);
  // The frame as one: of native code the function that exists in machine code. 0: such a mark.
  absl::StatusOr<FrameId> Frame(uint32_t frame);
  // All that the frame stands for, innermost first: native code has the calls that were inlined
  // there, too. Valid until the next call.
  absl::StatusOr<absl::Span<const FrameId>> Frames(uint32_t frame);
  // The name of a label (FrameKind::kLabel), which is no frame of a stack; 0: the frame is none.
  absl::StatusOr<StringId> Label(uint32_t frame);

  // What merging two stacks needs (tools/read/stack_merger.h): a node of kNodes or kNativeNodes,
  // the kind of a frame, and the stack of `parent` with a frame inside of it.
  absl::StatusOr<NodeRecord> Record(const SectionView& nodes, uint32_t node) const;
  absl::StatusOr<FrameKind> Kind(uint32_t frame) const;
  absl::StatusOr<NodeId> Extend(NodeId parent, uint32_t frame);

  bool cut() const { return cut_; }

 private:
  static constexpr NodeId kUnknown = UINT32_MAX;

  NodeId Known(uint32_t node) const { return node < node_ids_.size() ? node_ids_[node] : kUnknown; }
  absl::StatusOr<FrameId> PythonFrame(const FrameRecord& record, uint32_t code);
  absl::Status AddNativeFrames(const FrameRecord& record, uint32_t module);
  absl::Status AddFrames(uint32_t frame);
  NodeId WithoutOuter(NodeId node);
  absl::StatusOr<StringId> Text(uint32_t id);
  absl::StatusOr<FrameRecord> ReadFrame(uint32_t frame) const;
  absl::Status Damaged(const std::string& what) const;

  const RegionFile& region_;
  const std::vector<Module>& modules_;
  Symbolizer* const symbolizer_;
  Profile* const profile_;
  const SectionView nodes_;
  const SectionView frames_;
  const SectionView codes_;
  // By node of the region; kUnknown where it has not been asked for. Grows to the highest one that
  // is in the file.
  std::vector<NodeId> node_ids_;
  std::vector<std::pair<uint32_t, uint32_t>> climbed_;  // node, frame; kept for its memory
  // By frame of the region: where its frames are in frame_list_, and how many.
  absl::flat_hash_map<uint32_t, std::pair<uint32_t, uint32_t>> frame_ids_;
  std::vector<FrameId> frame_list_;
  absl::flat_hash_map<uint32_t, StringId> string_ids_;
  uint64_t text_bytes_ = 0;       // of those
  std::vector<uint32_t> depths_;  // by node of the profile
  static constexpr size_t kMaxCutStacks = 64;
  absl::flat_hash_map<NodeId, NodeId> cut_stacks_;  // of kMaxDepth frames, and their inner halves
  bool cut_ = false;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_STACK_DECODER_H_
