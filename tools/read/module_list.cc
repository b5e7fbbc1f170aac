#include "tools/read/module_list.h"

#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "tools/read/section_view.h"

namespace memtrace {
namespace {

// Many modules may have one path, so their texts together may be more than there is in the file.
constexpr size_t kPathBytes = 512;  // of a module, on average

absl::Status Damaged(const RegionFile& region, const std::string& what) {
  return absl::DataLossError(absl::StrFormat("%s: damaged: %s", region.path(), what));
}

}  // namespace

absl::StatusOr<std::vector<Module>> ReadModules(const RegionFile& region) {
  const SectionView section(region, kModules);
  const uint64_t count = section.Count();
  const uint64_t most_path_bytes = count * kPathBytes + SectionView(region, kStrings).Count();
  uint64_t path_bytes = 0;
  std::vector<Module> modules(1);
  for (uint64_t id = 1; id < count; ++id) {
    ModuleRecord record;
    if (!section.Copy(id, &record)) {
      return Damaged(region, "the list of modules runs out of the file");
    }
    Module& module = modules.emplace_back();
    if (record.path == 0) continue;
    absl::StatusOr<std::string> path = ReadString(region, record.path);
    if (!path.ok()) return path.status();
    module.path = *std::move(path);
    path_bytes += module.path.size();
    if (path_bytes > most_path_bytes) {
      return Damaged(region, "the paths of its modules are longer than paths are");
    }
    if (record.build_id_bytes > sizeof(record.build_id)) {
      return Damaged(region, absl::StrFormat("module %d has a build-id of %d bytes", id,
                                             record.build_id_bytes));
    }
    module.build_id = absl::BytesToHexString(
        absl::string_view(reinterpret_cast<const char*>(record.build_id), record.build_id_bytes));
    module.start = record.start;
    module.end = record.end;
    module.bias = record.bias;
    module.generation = record.generation;
  }
  return modules;
}

}  // namespace memtrace
