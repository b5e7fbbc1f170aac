#include "tools/read/name_frames.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace memtrace {
namespace {

constexpr size_t kFreeNodes = 100000;  // that may be added whatever the size

class FrameNamer {
 public:
  FrameNamer(const Profile& profile, Symbolizer* symbolizer, bool lines)
      : profile_(profile), symbolizer_(symbolizer), lines_(lines) {
    for (const Process& process : profile.processes) {
      for (const Module& module : process.modules) {
        auto [it, fresh] = modules_.try_emplace(module.path, &module);
        if (fresh || it->second == nullptr) continue;
        if (it->second->build_id != module.build_id) it->second = nullptr;
      }
    }
    for (const Frame& frame : profile.frames()) {
      if (frame.kind == FrameKind::kNative) ++frames_of_[{frame.module, frame.address}];
    }
  }

  // Whether anything has got a name.
  bool Look() {
    names_.resize(profile_.frames().size());
    bool found = false;
    for (FrameId id = 1; id < names_.size(); ++id) {
      if (!Wanted(profile_.frame(id))) continue;
      names_[id] = Names(profile_.frame(id));
      found |= !names_[id].empty();
    }
    return found;
  }

  // Ids of strings and functions stay what they are: all are made anew in the same order.
  Profile Rebuild() {
    Profile out;
    out.processes = profile_.processes;
    out.source_lines = profile_.source_lines;
    out.taken_realtime_ns = profile_.taken_realtime_ns;
    out.tool_version = profile_.tool_version;
    for (const std::string& text : profile_.strings()) out.InternString(text);
    for (const Function& function : profile_.functions()) out.InternFunction(function);
    std::vector<std::vector<FrameId>> frames(names_.size());
    for (FrameId id = 0; id < frames.size(); ++id) frames[id] = FramesOf(id, &out);
    const std::vector<NodeId> nodes = Nodes(frames, &out);
    for (Sample sample : profile_.samples()) {
      sample.node = nodes[sample.node];
      sample.caller = frames[sample.caller].back();
      out.AddSample(sample);
    }
    return out;
  }

 private:
  // A place with several frames has its inlined calls already.
  bool Wanted(const Frame& frame) const {
    if (frame.kind != FrameKind::kNative || frame.module == 0) return false;
    if (!profile_.string(profile_.function(frame.function).name).empty()) {
      if (!lines_ || frame.line != 0) return false;
    }
    return frames_of_.at({frame.module, frame.address}) == 1;
  }

  // Empty: no better than what is there.
  NativeFrames Names(const Frame& frame) {
    auto it = modules_.find(profile_.string(frame.module));
    if (it == modules_.end() || it->second == nullptr) return {};
    NativeFrames names = symbolizer_->Resolve(*it->second, frame.address);
    const bool had_name = !profile_.string(profile_.function(frame.function).name).empty();
    const bool better = names.back().line != 0 || (!had_name && !names.back().function.empty());
    return better ? names : NativeFrames();
  }

  std::vector<FrameId> FramesOf(FrameId id, Profile* out) {
    Frame frame = profile_.frame(id);
    if (names_[id].empty()) return {out->InternFrame(frame)};
    std::vector<FrameId> frames;
    for (const NativeSymbol& symbol : names_[id]) {
      Function function;
      function.name = out->InternString(symbol.function);
      function.filename = symbol.file.empty() ? frame.module : out->InternString(symbol.file);
      function.start_line = symbol.start_line;
      frame.function = out->InternFunction(function);
      frame.line = symbol.line;
      frames.push_back(out->InternFrame(frame));
    }
    return frames;
  }

  std::vector<NodeId> Nodes(const std::vector<std::vector<FrameId>>& frames, Profile* out) const {
    std::vector<NodeId> nodes(profile_.nodes().size());
    const size_t most = kMostGrowth * nodes.size() + kFreeNodes;
    for (NodeId id = 1; id < nodes.size(); ++id) {
      const Node& node = profile_.node(id);
      const std::vector<FrameId>& of_node = frames[node.frame];
      NodeId at = nodes[node.parent];
      const size_t count = out->nodes().size() + nodes.size() < most ? of_node.size() : 1;
      for (size_t i = 0; i < count; ++i) at = out->InternNode(at, of_node[of_node.size() - 1 - i]);
      nodes[id] = at;
    }
    return nodes;
  }

  const Profile& profile_;
  Symbolizer* const symbolizer_;
  const bool lines_;
  absl::flat_hash_map<std::string, const Module*> modules_;  // null: several builds
  absl::flat_hash_map<std::pair<StringId, uint64_t>, uint32_t> frames_of_;
  std::vector<NativeFrames> names_;  // by frame; empty: it stays as it is
};

}  // namespace

Profile NameFrames(Profile profile, Symbolizer* symbolizer, bool lines) {
  FrameNamer namer(profile, symbolizer, lines);
  if (!namer.Look()) return profile;
  return namer.Rebuild();
}

}  // namespace memtrace
