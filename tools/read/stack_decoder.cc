#include "tools/read/stack_decoder.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace memtrace {
namespace {

constexpr uint64_t kEscaped = 4;  // a byte that is no UTF-8 comes out as four

}  // namespace

StackDecoder::StackDecoder(const RegionFile& region, const std::vector<Module>& modules,
                           Symbolizer* symbolizer, Profile* profile)
    : region_(region),
      modules_(modules),
      symbolizer_(symbolizer),
      profile_(profile),
      nodes_(region, kNodes),
      frames_(region, kFrames),
      codes_(region, kCodes) {
  node_ids_.push_back(0);
  frame_list_.push_back(0);
  frame_ids_[0] = {0, 1};
  string_ids_[0] = 0;
}

absl::Status StackDecoder::Damaged(const std::string& what) const {
  return absl::DataLossError(absl::StrFormat("%s: damaged: %s", region_.path(), what));
}

absl::StatusOr<StringId> StackDecoder::Text(uint32_t id) {
  if (auto it = string_ids_.find(id); it != string_ids_.end()) return it->second;
  absl::StatusOr<std::string> text = ReadString(region_, id);
  if (!text.ok()) return text.status();
  // Each text is read once, so all of them are no more than their section holds, unless they lie
  // over one another: then a small file could name any amount.
  text_bytes_ += text->size();
  if (text_bytes_ > kEscaped * SectionView(region_, kStrings).Count()) {
    return Damaged("its texts lie over one another");
  }
  return string_ids_[id] = profile_->InternString(*text);
}

// Climbs to the nearest known ancestor, then comes down again: stacks may be deeper than our own.
absl::StatusOr<NodeId> StackDecoder::Node(uint32_t node) {
  NodeId parent = Known(node);
  if (parent != kUnknown) return parent;
  climbed_.clear();
  for (uint32_t at = node; (parent = Known(at)) == kUnknown;) {
    const absl::StatusOr<NodeRecord> record = Record(nodes_, at);
    if (!record.ok()) return record.status();
    climbed_.emplace_back(at, record->frame);
    at = record->parent;
  }
  // A parent's number is smaller than its child's: `node` is the highest, and it is in the file.
  if (node >= node_ids_.size()) {
    node_ids_.resize(std::max<size_t>(node + size_t{1}, node_ids_.size() * 2), kUnknown);
  }
  for (; !climbed_.empty(); climbed_.pop_back()) {
    const absl::StatusOr<NodeId> extended = Extend(parent, climbed_.back().second);
    if (!extended.ok()) return extended.status();
    node_ids_[climbed_.back().first] = parent = *extended;
  }
  return parent;
}

absl::StatusOr<NodeRecord> StackDecoder::Record(const SectionView& nodes, uint32_t node) const {
  NodeRecord record;
  if (node >= nodes.Count() || !nodes.Copy(node, &record)) {
    return Damaged(absl::StrFormat("stack %d is outside the file", node));
  }
  if (record.frame == 0 || record.parent >= node) {
    return Damaged(
        absl::StrFormat("stack %d has frame %d and parent %d", node, record.frame, record.parent));
  }
  return record;
}

absl::StatusOr<NodeId> StackDecoder::Extend(NodeId parent, uint32_t frame) {
  const absl::StatusOr<absl::Span<const FrameId>> frames = Frames(frame);
  if (!frames.ok()) return frames.status();
  if (parent >= depths_.size()) depths_.resize(parent + size_t{1});
  uint32_t depth = depths_[parent];
  for (size_t i = frames->size(); i-- > 0;) {
    if (depth == kMaxDepth) {
      parent = WithoutOuter(parent);
      depth = depths_[parent];
    }
    parent = profile_->InternNode(parent, (*frames)[i]);
    if (parent >= depths_.size()) depths_.resize(parent + size_t{1});
    depths_[parent] = ++depth;
  }
  return parent;
}

// The inner half of a stack of kMaxDepth frames, as a stack of its own.
NodeId StackDecoder::WithoutOuter(NodeId node) {
  auto [it, fresh] = cut_stacks_.try_emplace(node, 0);
  if (!fresh) return it->second;
  cut_ = true;
  std::vector<FrameId> inner;
  // Each makes thousands of nodes; a file that wants more of them than programs do gets none.
  const size_t kept = cut_stacks_.size() > kMaxCutStacks ? 0 : kMaxDepth / 2;
  for (NodeId at = node; inner.size() < kept; at = profile_->node(at).parent) {
    inner.push_back(profile_->node(at).frame);
  }
  NodeId parent = 0;
  for (uint32_t depth = 1; !inner.empty(); inner.pop_back(), depth++) {
    parent = profile_->InternNode(parent, inner.back());
    if (parent >= depths_.size()) depths_.resize(parent + size_t{1});
    depths_[parent] = depth;
  }
  return it->second = parent;
}

absl::StatusOr<FrameRecord> StackDecoder::ReadFrame(uint32_t frame) const {
  FrameRecord record;
  if (frame >= frames_.Count() || !frames_.Copy(frame, &record)) {
    return Damaged(absl::StrFormat("frame %d is outside the file", frame));
  }
  return record;
}

absl::StatusOr<FrameKind> StackDecoder::Kind(uint32_t frame) const {
  const absl::StatusOr<FrameRecord> record = ReadFrame(frame);
  if (!record.ok()) return record.status();
  return static_cast<FrameKind>(record->kind_owner >> 28);
}

absl::StatusOr<StringId> StackDecoder::Label(uint32_t frame) {
  const absl::StatusOr<FrameRecord> record = ReadFrame(frame);
  if (!record.ok()) return record.status();
  const bool is_label = static_cast<FrameKind>(record->kind_owner >> 28) == FrameKind::kLabel;
  return is_label ? Text(record->kind_owner & 0x0fffffff) : StringId{0};
}

absl::StatusOr<FrameId> StackDecoder::Frame(uint32_t frame) {
  absl::StatusOr<absl::Span<const FrameId>> frames = Frames(frame);
  if (!frames.ok()) return frames.status();
  return frames->empty() ? 0 : frames->back();
}

absl::StatusOr<absl::Span<const FrameId>> StackDecoder::Frames(uint32_t frame) {
  auto it = frame_ids_.find(frame);
  if (it == frame_ids_.end()) {
    const auto first = static_cast<uint32_t>(frame_list_.size());
    if (absl::Status s = AddFrames(frame); !s.ok()) return s;
    const auto count = static_cast<uint32_t>(frame_list_.size()) - first;
    it = frame_ids_.emplace(frame, std::make_pair(first, count)).first;
  }
  return absl::MakeConstSpan(frame_list_).subspan(it->second.first, it->second.second);
}

// To the end of frame_list_.
absl::Status StackDecoder::AddFrames(uint32_t frame) {
  const absl::StatusOr<FrameRecord> record = ReadFrame(frame);
  if (!record.ok()) return record.status();
  const uint32_t owner = record->kind_owner & 0x0fffffff;
  switch (static_cast<FrameKind>(record->kind_owner >> 28)) {
    case FrameKind::kPython: {
      absl::StatusOr<FrameId> id = PythonFrame(*record, owner);
      if (!id.ok()) return id.status();
      frame_list_.push_back(*id);
      return absl::OkStatus();
    }
    case FrameKind::kNative:
      return AddNativeFrames(*record, owner);
    case FrameKind::kEvaluation:
    case FrameKind::kLabel:
      return absl::OkStatus();
    default:
      return Damaged(
          absl::StrFormat("frame %d is of unknown kind %d", frame, record->kind_owner >> 28));
  }
}

absl::StatusOr<FrameId> StackDecoder::PythonFrame(const FrameRecord& record, uint32_t code) {
  CodeRecord content;
  if (code >= codes_.Count() || !codes_.Copy(code, &content) || content.filename == 0) {
    return Damaged(absl::StrFormat("code %d is not there", code));
  }
  absl::StatusOr<StringId> name = Text(content.name);
  if (!name.ok()) return name.status();
  absl::StatusOr<StringId> filename = Text(content.filename);
  if (!filename.ok()) return filename.status();
  memtrace::Frame frame;
  frame.kind = FrameKind::kPython;
  frame.function =
      profile_->InternFunction({*name, *filename, static_cast<int64_t>(content.first_line)});
  frame.line = record.line;
  return profile_->InternFrame(frame);
}

absl::Status StackDecoder::AddNativeFrames(const FrameRecord& record, uint32_t module) {
  memtrace::Frame frame;
  frame.kind = FrameKind::kNative;
  frame.address = record.address;
  if (module == 0) {
    frame_list_.push_back(profile_->InternFrame(frame));
    return absl::OkStatus();
  }
  if (module >= modules_.size()) {
    return Damaged(absl::StrFormat("module %d is not there", module));
  }
  NativeFrames symbols(1);
  if (symbolizer_ != nullptr) symbols = symbolizer_->Resolve(modules_[module], record.address);
  frame.module = profile_->InternString(modules_[module].path);
  for (const NativeSymbol& symbol : symbols) {
    frame.line = symbol.line;
    Function function;
    function.name = profile_->InternString(symbol.function);
    function.filename = symbol.file.empty() ? frame.module : profile_->InternString(symbol.file);
    function.start_line = symbol.start_line;
    frame.function = profile_->InternFunction(function);
    frame_list_.push_back(profile_->InternFrame(frame));
  }
  return absl::OkStatus();
}

}  // namespace memtrace
