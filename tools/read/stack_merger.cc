#include "tools/read/stack_merger.h"

#include <atomic>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "tools/model/file_names.h"

namespace memtrace {
namespace {

constexpr uint32_t kFirstMarkedVersion = 0x030b0000;  // CPython 3.11
constexpr int kMostOutsideOfStart = 2;                // before main: __libc_start_main, _start
// A program's stacks share most of what is outside, so this is far more than any needs.
constexpr uint64_t kLeastBudget = 300'000;
constexpr uint64_t kBytesPerStep = 4;

bool IsThreadOrCLibrary(absl::string_view module) {
  const absl::string_view name = BaseName(module);
  return absl::StartsWith(name, "libc.so") || absl::StartsWith(name, "libc-2.") ||
         absl::StartsWith(name, "libpthread") || absl::StartsWith(name, "ld-musl");
}

bool IsStartName(absl::string_view name) {
  return name == "_start" || name == "start_thread" || name == "clone" || name == "clone3" ||
         name == "__clone" || name == "__clone3" || absl::StartsWith(name, "__libc_start_main") ||
         absl::StartsWith(name, "__libc_start_call_main");
}

}  // namespace

StackMerger::StackMerger(const RegionFile& region, StackDecoder* stacks, Profile* profile)
    : stacks_(stacks),
      profile_(profile),
      nodes_(region, kNodes),
      native_nodes_(region, kNativeNodes),
      marked_(region.header().python_version >= kFirstMarkedVersion),
      all_((region.header().flags.load(std::memory_order_relaxed) & kFlagInterpreterFrames) != 0),
      budget_(kLeastBudget + region.allocated() / kBytesPerStep) {}

bool StackMerger::Spend(uint64_t steps) {
  cut_ = cut_ || steps > budget_;
  budget_ -= cut_ ? 0 : steps;
  return !cut_;
}

// The frames of the innermost evaluation; *python is then the frame that called it.
absl::Status StackMerger::TakeEvaluation(uint32_t* python, std::vector<uint32_t>* frames) {
  while (*python != 0) {
    const absl::StatusOr<NodeRecord> record = stacks_->Record(nodes_, *python);
    if (!record.ok()) return record.status();
    *python = record->parent;
    const absl::StatusOr<FrameKind> kind = stacks_->Kind(record->frame);
    if (!kind.ok()) return kind.status();
    if (*kind == FrameKind::kEvaluation) break;
    const bool label = *kind == FrameKind::kLabel;
    if (!label) frames->push_back(record->frame);
    if ((!marked_ && !label) || !Spend(1)) break;
  }
  return absl::OkStatus();
}

// Whether a native node is one of the kMostOutsideOfStart outermost ones.
absl::StatusOr<bool> StackMerger::IsNearRoot(uint32_t native) const {
  for (int outside = 0; native != 0; ++outside) {
    if (outside == kMostOutsideOfStart) return false;
    const absl::StatusOr<NodeRecord> record = stacks_->Record(native_nodes_, native);
    if (!record.ok()) return record.status();
    native = record->parent;
  }
  return true;
}

// Whether this is the C library's part, on the way to main or to a thread's function. Its functions
// may have no names where its symbols were stripped.
absl::StatusOr<bool> StackMerger::IsStart(const NodeRecord& native) {
  if (all_) return false;
  auto [it, fresh] = starts_.try_emplace(native.frame, false);
  if (fresh) {
    const absl::StatusOr<FrameId> id = stacks_->Frame(native.frame);
    if (!id.ok()) return id.status();
    const Frame& frame = profile_->frame(*id);
    const std::string& name = profile_->string(profile_->function(frame.function).name);
    it->second =
        name.empty() ? IsThreadOrCLibrary(profile_->string(frame.module)) : IsStartName(name);
  }
  if (!it->second) return false;
  return IsNearRoot(native.parent);
}

// Walks outwards to what is known already; the stack there. *at is left at it.
absl::StatusOr<NodeId> StackMerger::Climb(Pair* at) {
  for (;;) {
    if (at->second == 0) return stacks_->Node(at->first);
    if (auto it = merged_.find(*at); it != merged_.end()) return it->second;
    const absl::StatusOr<NodeRecord> native = stacks_->Record(native_nodes_, at->second);
    if (!native.ok()) return native.status();
    const absl::StatusOr<FrameKind> kind = stacks_->Kind(native->frame);
    if (!kind.ok()) return kind.status();
    if (!Spend(1)) return 0;
    Step step{*at, *kind == FrameKind::kEvaluation ? 0 : native->frame, {}};
    if (step.native_frame == 0) {
      if (absl::Status s = TakeEvaluation(&at->first, &step.python_frames); !s.ok()) return s;
    } else {
      const absl::StatusOr<bool> start = IsStart(*native);
      if (!start.ok()) return start.status();
      if (*start) return stacks_->Node(at->first);
    }
    climbed_.push_back(std::move(step));
    at->second = native->parent;
  }
}

absl::StatusOr<NodeId> StackMerger::Descend(NodeId outer) {
  for (; !climbed_.empty(); climbed_.pop_back()) {
    Step& step = climbed_.back();
    if (step.native_frame != 0) step.python_frames.assign(1, step.native_frame);
    for (size_t i = step.python_frames.size(); i-- > 0;) {
      const absl::StatusOr<NodeId> extended = stacks_->Extend(outer, step.python_frames[i]);
      if (!extended.ok()) return extended.status();
      outer = *extended;
    }
    merged_[step.at] = outer;
  }
  return outer;
}

absl::StatusOr<StackMerger::Stack> StackMerger::Merge(uint32_t python, uint32_t native) {
  climbed_.clear();
  if (cut_) return Unmerged(python, native);
  Pair at(python, native);
  const absl::StatusOr<NodeId> outer = Climb(&at);
  if (!outer.ok()) return outer.status();
  if (cut_) return Unmerged(python, native);
  const absl::StatusOr<NodeId> node = Descend(*outer);
  if (!node.ok()) return node.status();
  return Stack{*node, 0};
}

absl::StatusOr<StackMerger::Stack> StackMerger::Unmerged(uint32_t python, uint32_t native) {
  Stack stack;
  const absl::StatusOr<NodeId> node = stacks_->Node(python);
  if (!node.ok()) return node.status();
  stack.node = *node;
  if (native == 0) return stack;
  const absl::StatusOr<NodeRecord> record = stacks_->Record(native_nodes_, native);
  if (!record.ok()) return record.status();
  const absl::StatusOr<FrameId> caller = stacks_->Frame(record->frame);
  if (!caller.ok()) return caller.status();
  stack.caller = *caller;
  return stack;
}

}  // namespace memtrace
