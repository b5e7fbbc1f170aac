// The Python stack and the native stack of one moment, made into one.
//
// Role. A region with kFlagNativeStacks has two stacks for each site. Where the native one is
// inside the interpreter's evaluation loop it has a mark, and the Python frames of that evaluation
// belong there:
//
//   native     make (libfoo.so)  EVALUATION  call_back (libfoo.so)  EVALUATION  main
//   Python     inner.py:3 | outer.py:9 outer.py:12
//   merged     make  inner.py:3  call_back  outer.py:9 outer.py:12  main
//
// Up to CPython 3.10 each Python frame is an evaluation of its own; from 3.11 on the Python stack
// has marks, too, one outside of the frames of each evaluation. The k-th evaluation from inside of
// one stack is that of the other. Marks without frames are left out; Python frames without a mark
// (the native stack was cut) are the outermost ones.
//
// What the C library does before main, or before a thread's function, is left out, unless the
// interpreter's own frames were asked for: then all is shown.
//
// Invariants
//  1. Each pair of nodes is merged once, and what two stacks share outside is walked once.
//  2. The work is bounded by the size of the file; beyond that a stack is its Python frames and its
//     immediate native caller, and cut() says so.
//
// Errors: as StackDecoder. Threading: none.

#ifndef MEMTRACE_TOOLS_READ_STACK_MERGER_H_
#define MEMTRACE_TOOLS_READ_STACK_MERGER_H_

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

class StackMerger {
 public:
  StackMerger(const RegionFile& region, StackDecoder* stacks, Profile* profile);

  struct Stack {
    NodeId node = 0;
    FrameId caller = 0;  // 0 unless the stack was cut
  };
  absl::StatusOr<Stack> Merge(uint32_t python, uint32_t native);

  bool cut() const { return cut_; }

 private:
  // A native node, and the Python node that is the innermost one not yet placed inside of it.
  using Pair = std::pair<uint32_t, uint32_t>;  // Python, native

  struct Step {
    Pair at;
    uint32_t native_frame;                // 0: an evaluation
    std::vector<uint32_t> python_frames;  // of that evaluation, innermost first
  };

  bool Spend(uint64_t steps);
  absl::StatusOr<NodeId> Climb(Pair* at);
  absl::Status TakeEvaluation(uint32_t* python, std::vector<uint32_t>* frames);
  absl::StatusOr<bool> IsStart(const NodeRecord& native);
  absl::StatusOr<bool> IsNearRoot(uint32_t native) const;
  absl::StatusOr<NodeId> Descend(NodeId outer);
  absl::StatusOr<Stack> Unmerged(uint32_t python, uint32_t native);

  StackDecoder* const stacks_;
  Profile* const profile_;
  const SectionView nodes_;
  const SectionView native_nodes_;
  const bool marked_;  // the Python stack has marks of evaluations
  const bool all_;     // nothing is left out
  uint64_t budget_;    // frames that may yet be walked
  bool cut_ = false;
  std::vector<Step> climbed_;  // kept for its memory
  absl::flat_hash_map<Pair, NodeId> merged_;
  absl::flat_hash_map<uint32_t, bool> starts_;  // by frame
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_STACK_MERGER_H_
