#include "tools/model/profile.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace memtrace {
namespace {

constexpr std::array<absl::string_view, kDomainCount> kDomainNames = {
    "", "malloc", "python.mem", "python.obj", "mmap", "mmap.file"};

constexpr int64_t Values::*kFields[] = {&Values::alloc_objects,     &Values::alloc_bytes,
                                        &Values::inuse_objects,     &Values::inuse_bytes,
                                        &Values::peak_objects,      &Values::peak_bytes,
                                        &Values::temporary_objects, &Values::temporary_bytes};

// Figures of a hostile file must not overflow: sums stop far beyond every honest one, and the
// difference of two of them still fits.
using Wide = __int128;
constexpr int64_t kBound = int64_t{1} << 61;

int64_t Bounded(Wide value) {
  return static_cast<int64_t>(std::clamp<Wide>(value, -kBound, kBound));
}

}  // namespace

Values& Values::operator+=(const Values& o) {
  for (auto field : kFields) this->*field = Bounded(Wide{this->*field} + o.*field);
  return *this;
}

Values& Values::operator-=(const Values& o) {
  for (auto field : kFields) this->*field = Bounded(Wide{this->*field} - o.*field);
  return *this;
}

bool Values::operator==(const Values& o) const {
  return std::all_of(std::begin(kFields), std::end(kFields),
                     [&](auto field) { return this->*field == o.*field; });
}

Profile::Profile() {
  // Id 0 is "none" everywhere; interning an empty one gives it back.
  InternString("");
  InternFunction({});
  InternFrame({});
  nodes_.push_back({});
  links_.push_back({});
}

void Profile::Reserve(size_t nodes, size_t samples) {
  nodes_.reserve(nodes);
  links_.reserve(nodes);
  samples_.reserve(samples);
  sample_ids_.reserve(samples);
}

StringId Profile::InternString(absl::string_view text) {
  auto [it, fresh] = string_ids_.try_emplace(text, static_cast<StringId>(strings_.size()));
  if (fresh) strings_.emplace_back(text);
  return it->second;
}

FunctionId Profile::InternFunction(const Function& function) {
  const auto key = std::make_tuple(function.name, function.filename, function.start_line);
  auto [it, fresh] = function_ids_.try_emplace(key, static_cast<FunctionId>(functions_.size()));
  if (fresh) functions_.push_back(function);
  return it->second;
}

FrameId Profile::InternFrame(const Frame& frame) {
  const auto key = std::make_tuple(static_cast<uint32_t>(frame.kind), frame.function, frame.line,
                                   frame.module, frame.address);
  auto [it, fresh] = frame_ids_.try_emplace(key, static_cast<FrameId>(frames_.size()));
  if (fresh) frames_.push_back(frame);
  return it->second;
}

NodeId Profile::ListedChild(NodeId parent, FrameId frame) const {
  NodeId child = links_[parent].newest;
  while (child != 0 && nodes_[child].frame != frame) child = links_[child].next_sibling;
  return child;
}

NodeId Profile::AddNode(NodeId parent, FrameId frame) {
  const auto node = static_cast<NodeId>(nodes_.size());
  nodes_.push_back({parent, frame});
  links_.push_back({});
  return node;
}

NodeId Profile::InternNode(NodeId parent, FrameId frame) {
  // Stacks come in an order in which a node's child is mostly the one that it was the last time.
  const NodeId last = links_[parent].last_asked;
  if (last != 0 && nodes_[last].frame == frame) return last;
  NodeId node = ListedChild(parent, frame);
  if (node == 0 && links_[parent].listed < kListed) {
    node = AddNode(parent, frame);
    links_[node].next_sibling = links_[parent].newest;
    links_[parent].newest = node;
    links_[parent].listed++;
  } else if (node == 0) {
    const uint64_t key = uint64_t{parent} << 32 | frame;
    auto [it, fresh] = node_ids_.try_emplace(key, static_cast<NodeId>(nodes_.size()));
    node = fresh ? AddNode(parent, frame) : it->second;
  }
  links_[parent].last_asked = node;
  return node;
}

void Profile::AddSample(const Sample& sample) {
  const SampleKey key{sample.node,  sample.caller, sample.process,
                      sample.label, sample.thread, static_cast<uint8_t>(sample.domain)};
  auto [it, fresh] = sample_ids_.try_emplace(key, static_cast<uint32_t>(samples_.size()));
  if (fresh) {
    samples_.push_back(sample);
  } else {
    samples_[it->second].values += sample.values;
  }
}

// `change` is called with each sample before it is added.
template <typename Change>
void Profile::CopySamples(const Profile& other, Change change) {
  std::vector<StringId> strings(other.strings_.size());
  for (size_t i = 0; i < strings.size(); ++i) strings[i] = InternString(other.strings_[i]);
  std::vector<FunctionId> functions(other.functions_.size());
  for (size_t i = 0; i < functions.size(); ++i) {
    const Function& f = other.functions_[i];
    functions[i] = InternFunction({strings[f.name], strings[f.filename], f.start_line});
  }
  std::vector<FrameId> frames(other.frames_.size());
  for (size_t i = 0; i < frames.size(); ++i) {
    const Frame& f = other.frames_[i];
    frames[i] = InternFrame({f.kind, functions[f.function], f.line, strings[f.module], f.address});
  }
  std::vector<NodeId> nodes(other.nodes_.size());
  for (size_t i = 1; i < nodes.size(); ++i) {
    nodes[i] = InternNode(nodes[other.nodes_[i].parent], frames[other.nodes_[i].frame]);
  }
  for (Sample sample : other.samples_) {
    sample.node = nodes[sample.node];
    sample.caller = frames[sample.caller];
    sample.label = strings[sample.label];
    change(&sample);
    AddSample(sample);
  }
  CopySourceLines(other, strings);
}

// A line that is there already stays as it was first.
void Profile::CopySourceLines(const Profile& other, const std::vector<StringId>& strings) {
  absl::flat_hash_set<std::pair<StringId, int64_t>> known;
  known.reserve(source_lines.size() + other.source_lines.size());
  for (const SourceLine& line : source_lines) known.emplace(line.filename, line.line);
  for (const SourceLine& line : other.source_lines) {
    const StringId file = strings[line.filename];
    if (known.emplace(file, line.line).second) source_lines.push_back({file, line.line, line.text});
  }
}

uint32_t Profile::Merge(const Profile& other) {
  const uint32_t first = static_cast<uint32_t>(processes.size());
  for (Process process : other.processes) {
    if (process.is_member()) process.added_to += first;
    processes.push_back(std::move(process));
  }
  CopySamples(other, [first](Sample* sample) { sample->process += first; });
  if (other.taken_realtime_ns > taken_realtime_ns) taken_realtime_ns = other.taken_realtime_ns;
  if (tool_version.empty()) tool_version = other.tool_version;
  return first;
}

void Profile::AddUp(const Profile& other, uint32_t process) {
  CopySamples(other, [process](Sample* sample) {
    sample->process = process;
    sample->thread = 0;
  });
}

std::vector<FrameId> Profile::Stack(NodeId node) const {
  std::vector<FrameId> stack;
  for (; node != 0; node = nodes_[node].parent) stack.push_back(nodes_[node].frame);
  return stack;
}

Values Profile::Totals() const {
  Values totals;
  for (const Sample& sample : samples_) totals += sample.values;
  return totals;
}

Values Profile::MemoryTotals() const {
  Values totals;
  for (const Sample& sample : samples_) {
    if (!IsAddressSpace(sample.domain)) totals += sample.values;
  }
  return totals;
}

absl::string_view DomainName(Domain domain) {
  const size_t index = static_cast<size_t>(domain);
  return index < kDomainNames.size() ? kDomainNames[index] : absl::string_view();
}

Domain DomainFromName(absl::string_view name) {
  for (size_t i = 1; i < kDomainNames.size(); ++i) {
    if (kDomainNames[i] == name) return static_cast<Domain>(i);
  }
  return Domain::kNone;
}

}  // namespace memtrace
