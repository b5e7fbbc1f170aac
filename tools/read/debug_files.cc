#include "tools/read/debug_files.h"

#include <elfutils/libdwelf.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tools/model/file_names.h"

namespace memtrace {
namespace {

constexpr char kDebugFolder[] = "/usr/lib/debug";

std::unique_ptr<ElfFile> OpenIf(const std::string& path, const std::string& build_id) {
  auto file = std::make_unique<ElfFile>(path);
  if (file->elf() == nullptr || file->BuildId() != build_id) return nullptr;
  return file;
}

std::string BuildIdPath(const std::string& folder, const std::string& build_id,
                        absl::string_view suffix) {
  return absl::StrCat(folder, "/.build-id/", build_id.substr(0, 2), "/", build_id.substr(2),
                      suffix);
}

// Only what has the form of one becomes part of a path: snapshots are anybody's.
bool IsBuildId(const std::string& text) {
  return text.size() > 2 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// As debuginfod's client chooses them: the one that is set, else the newer place or the older one.
std::vector<std::string> DebuginfodCaches() {
  if (std::string set = Variable("DEBUGINFOD_CACHE_PATH"); !set.empty()) return {set};
  std::vector<std::string> caches;
  if (const std::string set = Variable("XDG_CACHE_HOME"); !set.empty()) {
    caches.push_back(set + "/debuginfod_client");
  }
  if (const std::string home = Variable("HOME"); !home.empty()) {
    caches.push_back(home + "/.cache/debuginfod_client");
    caches.push_back(home + "/.debuginfod_client_cache");
  }
  return caches;
}

std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

// The sum that .gnu_debuglink has: CRC-32 of the whole file.
bool HasChecksum(const ElfFile& file, uint32_t expected) {
  size_t size = 0;
  const char* bytes = elf_rawfile(file.elf(), &size);
  if (bytes == nullptr) return false;
  return crc32_z(0, reinterpret_cast<const Bytef*>(bytes), size) == expected;
}

}  // namespace

DebugFiles::DebugFiles(SymbolSources sources)
    : sources_(std::move(sources)), folders_(sources_.folders), caches_(DebuginfodCaches()) {
  for (const std::string& folder : sources_.folders) folders_.push_back(folder + kDebugFolder);
  folders_.emplace_back(kDebugFolder);
}

std::unique_ptr<ElfFile> DebugFiles::OpenModule(const Module& module) const {
  const std::string& path = module.path;
  const std::string& build_id = module.build_id;
  const bool absolute = !path.empty() && path[0] == '/';
  if (!IsBuildId(build_id)) {
    if (!absolute || !sources_.trust_paths || !build_id.empty()) return nullptr;
    auto file = std::make_unique<ElfFile>(path);
    return file->elf() == nullptr ? nullptr : std::move(file);
  }
  std::vector<std::string> candidates;
  if (absolute) candidates.push_back(path);
  for (const std::string& folder : sources_.folders) {
    if (absolute) candidates.push_back(folder + path);
    candidates.push_back(absl::StrCat(folder, "/", BaseName(path)));
    candidates.push_back(BuildIdPath(folder, build_id, ""));
  }
  for (const std::string& cache : caches_) {
    candidates.push_back(absl::StrCat(cache, "/", build_id, "/executable"));
  }
  for (const std::string& candidate : candidates) {
    if (auto file = OpenIf(candidate, build_id)) return file;
  }
  return nullptr;
}

std::unique_ptr<ElfFile> DebugFiles::ByBuildId(const std::string& build_id) const {
  if (!IsBuildId(build_id)) return nullptr;
  for (const std::string& folder : folders_) {
    if (auto file = OpenIf(BuildIdPath(folder, build_id, ".debug"), build_id)) return file;
  }
  return nullptr;
}

std::unique_ptr<ElfFile> DebugFiles::ByDebugLink(const ElfFile& file) const {
  GElf_Word checksum = 0;
  const char* link = dwelf_elf_gnu_debuglink(file.elf(), &checksum);
  if (link == nullptr || *link == '\0') return nullptr;
  const std::string folder = FolderOf(file.path());
  const absl::string_view name = BaseName(link);
  std::vector<std::string> candidates = {absl::StrCat(folder, "/", name),
                                         absl::StrCat(folder, "/.debug/", name)};
  for (const std::string& debug : folders_) {
    candidates.push_back(absl::StrCat(debug, folder, "/", name));
    candidates.push_back(absl::StrCat(debug, "/", name));
  }
  const std::string build_id = file.BuildId();
  for (const std::string& candidate : candidates) {
    auto found = OpenIf(candidate, build_id);
    if (found != nullptr && HasChecksum(*found, checksum)) return found;
  }
  return nullptr;
}

std::unique_ptr<ElfFile> DebugFiles::OpenDebug(const Module& module, const ElfFile* file) const {
  const std::string build_id = file == nullptr ? module.build_id : file->BuildId();
  if (auto found = ByBuildId(build_id)) return found;
  if (file != nullptr) {
    if (auto found = ByDebugLink(*file)) return found;
  }
  if (!IsBuildId(build_id)) return nullptr;
  for (const std::string& cache : caches_) {
    auto found = OpenIf(absl::StrCat(cache, "/", build_id, "/debuginfo"), build_id);
    if (found != nullptr) return found;
  }
  return nullptr;
}

std::unique_ptr<ElfFile> DebugFiles::OpenAlternate(ElfFile* file, bool* needed) const {
  const char* name = nullptr;
  const void* bits = nullptr;
  const ssize_t size =
      file->dwarf() == nullptr ? 0 : dwelf_dwarf_gnu_debugaltlink(file->dwarf(), &name, &bits);
  *needed = size > 0;
  if (size <= 0) return nullptr;
  const std::string build_id = absl::BytesToHexString(
      absl::string_view(static_cast<const char*>(bits), static_cast<size_t>(size)));
  if (auto found = ByBuildId(build_id)) return found;
  if (name == nullptr || *name == '\0') return nullptr;
  const std::string path =
      *name == '/' ? std::string(name) : absl::StrCat(FolderOf(file->path()), "/", name);
  if (auto found = OpenIf(path, build_id)) return found;
  for (const std::string& folder : sources_.folders) {
    if (auto found = OpenIf(folder + path, build_id)) return found;
  }
  return nullptr;
}

}  // namespace memtrace
