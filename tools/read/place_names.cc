#include "tools/read/place_names.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "tools/model/file_names.h"
#include "tools/read/module_list.h"
#include "tools/read/section_view.h"

namespace memtrace {
namespace {

// A list that cannot be read names nothing.
std::vector<Module> ModulesOf(const RegionFile& region) {
  absl::StatusOr<std::vector<Module>> modules = ReadModules(region);
  return modules.ok() ? *std::move(modules) : std::vector<Module>(1);
}

}  // namespace

PlaceNames::PlaceNames(const RegionFile& region, Symbolizer* symbolizer)
    : region_(region),
      modules_(ModulesOf(region)),
      stacks_(region, modules_, symbolizer, &profile_) {
  if (auto folder = ReadString(region, region.header().working_dir); folder.ok()) {
    folder_ = absl::StrCat(*folder, "/");
  }
}

const std::string& PlaceNames::OfSite(uint32_t site) {
  auto [it, fresh] = known_.try_emplace(site);
  if (fresh) it->second = Name(site);
  return it->second;
}

std::string PlaceNames::FrameName(const Frame& frame) const {
  const Function& function = profile_.function(frame.function);
  absl::string_view file = profile_.string(function.filename);
  if (frame.line > 0 && !file.empty()) {
    absl::ConsumePrefix(&file, folder_);
    return absl::StrCat(file, ":", frame.line);
  }
  const absl::string_view module = BaseName(profile_.string(frame.module));
  const std::string& name = profile_.string(function.name);
  if (!name.empty()) return module.empty() ? name : absl::StrCat(module, "!", name);
  return absl::StrFormat("%s+0x%x", module, frame.address);
}

std::string PlaceNames::Name(uint32_t site) {
  const SectionView section(region_, IsBusySite(site) ? kBusySites : kSites);
  const uint32_t index = IsBusySite(site) ? site - kFirstBusySite : site;
  SiteRecord record = {};
  if (index >= section.Count() || !section.Copy(index, &record)) return "(unknown)";
  if (absl::StatusOr<NodeId> node = stacks_.Node(record.node()); node.ok()) {
    for (NodeId at = *node; at != 0; at = profile_.node(at).parent) {
      const Frame& frame = profile_.frame(profile_.node(at).frame);
      if (frame.kind == FrameKind::kPython && frame.line > 0) return FrameName(frame);
    }
  }
  const bool native = (region_.header().flags.load() & kFlagNativeStacks) != 0;
  if (native) return NativeName(record.caller());
  if (record.caller() == 0) return "(unknown)";
  absl::StatusOr<FrameId> caller = stacks_.Frame(record.caller());
  return caller.ok() ? FrameName(profile_.frame(*caller)) : "(unknown)";
}

// The innermost frame of a native stack that has a source line, else the innermost.
std::string PlaceNames::NativeName(uint32_t native_node) {
  constexpr int kLooked = 64;
  const SectionView section(region_, kNativeNodes);
  std::string first;
  for (int i = 0; i < kLooked && native_node != 0; ++i) {
    NodeRecord node = {};
    if (native_node >= section.Count() || !section.Copy(native_node, &node)) break;
    native_node = node.parent;
    if (absl::StatusOr<FrameId> id = stacks_.Frame(node.frame); id.ok()) {
      const Frame& frame = profile_.frame(*id);
      if (frame.kind != FrameKind::kNative) continue;
      if (frame.line > 0) return FrameName(frame);
      if (first.empty()) first = FrameName(frame);
    }
  }
  return first.empty() ? "(unknown)" : first;
}

}  // namespace memtrace
