#include "tools/read/load.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "tools/model/snapshot_file.h"
#include "tools/read/decode.h"
#include "tools/read/ledger.h"
#include "tools/read/name_frames.h"
#include "tools/read/region_file.h"
#include "tools/read/section_view.h"
#include "tools/read/source_lines.h"
#include "tools/read/symbolize.h"

namespace memtrace {
namespace {

enum class Kind { kNothing, kRegion, kOther };

// What a path is, by its first bytes.
Kind Sniff(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return Kind::kNothing;
  if (path.size() > 7 && path.compare(path.size() - 7, 7, ".region") == 0) return Kind::kRegion;
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return Kind::kOther;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return Kind::kOther;
  uint64_t magic = 0;
  const bool region = read(fd, &magic, sizeof(magic)) == sizeof(magic) && magic == kRegionMagic;
  close(fd);
  return region ? Kind::kRegion : Kind::kOther;
}

// Names as the kernel has them now: programs name their threads after they have started.
// A thread that the kernel does not know any more has ended: the library notices only when its slot
// is needed again.
void RefreshThreads(Process* process) {
  for (Thread& thread : process->threads) {
    if (thread.ended) continue;
    std::ifstream comm(absl::StrFormat("/proc/%d/task/%d/comm", process->pid, thread.tid));
    std::string name;
    thread.ended = !comm;
    if (comm && std::getline(comm, name) && !name.empty()) thread.name = ValidUtf8(name);
  }
}

std::string WhatIsTraced() {
  const std::vector<RegionEntry> entries = FindRegions(RegionFolders());
  const auto alive = std::count_if(entries.begin(), entries.end(),
                                   [](const RegionEntry& e) { return e.status.ok() && e.alive(); });
  if (alive == 0) return "no process is being traced; start one with `memtrace run PROGRAM`";
  return absl::StrFormat("`memtrace list` shows the %d that are", alive);
}

void MarkIfCutShort(const Symbolizer& symbolizer, Profile* profile) {
  if (!symbolizer.ran_out_of_time()) return;
  for (Process& process : profile->processes) process.flags |= kFlagNamesCutShort;
}

// A snapshot's files may have changed since it was taken: what has no build-id gets no names.
Profile WithNames(Profile profile, SymbolSources sources) {
  sources.trust_paths = false;
  const bool lines = !sources.folders.empty();  // there may be more than there was
  const std::unique_ptr<Symbolizer> symbolizer = MakeSymbolizer(std::move(sources));
  profile = NameFrames(std::move(profile), symbolizer.get(), lines);
  MarkIfCutShort(*symbolizer, &profile);
  return profile;
}

}  // namespace

absl::StatusOr<Profile> LoadRegion(const RegionEntry& entry, Symbolizer* symbolizer) {
  auto region = RegionFile::Open(entry.path);
  if (!region.ok()) return region.status();
  DecodeOptions options;
  options.symbolizer = symbolizer;
  options.end = entry.state;
  absl::StatusOr<Profile> profile = DecodeRegion(**region, options);
  if (!profile.ok()) return profile;
  if (entry.alive()) {
    Process& process = profile->processes.front();
    RefreshThreads(&process);
    // A pid of another container, or whose start is not known, may be anybody's here.
    if (entry.process_start != 0 && ProcessStart(entry.pid) == entry.process_start) {
      process.ledgers = {ReadLedger(**region, entry.pid, options.symbolizer)};
    }
  }
  if (symbolizer != nullptr) MarkIfCutShort(*symbolizer, &*profile);
  AddSourceLines(&*profile);
  profile->tool_version = MEMTRACE_VERSION;
  return profile;
}

absl::StatusOr<Profile> LoadRegion(const RegionEntry& entry, const LoadOptions& options) {
  if (!options.symbolize) return LoadRegion(entry, nullptr);
  return LoadRegion(entry, MakeSymbolizer(options.symbols).get());
}

absl::StatusOr<RegionEntry> ResolveRegion(const std::string& spec) {
  int32_t pid = 0;
  const bool is_pid = absl::SimpleAtoi(spec, &pid);
  if (!is_pid && Sniff(spec) == Kind::kRegion) {
    RegionEntry entry = DescribeRegion(spec);
    if (!entry.status.ok()) return entry.status;
    return entry;
  }
  const std::vector<RegionEntry> matches = MatchRegions(FindRegions(RegionFolders()), spec);
  if (!matches.empty()) return matches.front();
  if (is_pid) {
    return absl::NotFoundError(
        absl::StrFormat("process %s is not traced; %s", spec, WhatIsTraced()));
  }
  return absl::NotFoundError(absl::StrFormat(
      "%s: there is no such file, and no traced process of that name; %s", spec, WhatIsTraced()));
}

absl::StatusOr<Profile> LoadProfile(const std::string& spec, const LoadOptions& options) {
  int32_t pid = 0;
  if (!absl::SimpleAtoi(spec, &pid) && Sniff(spec) == Kind::kOther) {
    absl::StatusOr<Profile> profile = ReadSnapshotFile(spec);
    if (!profile.ok() || !options.symbolize) return profile;
    return WithNames(*std::move(profile), options.symbols);
  }
  absl::StatusOr<RegionEntry> entry = ResolveRegion(spec);
  if (!entry.ok()) return entry.status();
  return LoadRegion(*entry, options);
}

Profile LoadRegions(const std::vector<RegionEntry>& entries, std::vector<std::string>* problems) {
  Profile merged;
  std::unique_ptr<Symbolizer> symbolizer = MakeSymbolizer();  // the files are opened once for all
  for (const RegionEntry& entry : entries) {
    absl::StatusOr<Profile> profile = LoadRegion(entry, symbolizer.get());
    if (!profile.ok()) {
      problems->emplace_back(profile.status().message());
      continue;
    }
    merged.Merge(*profile);
    merged.taken_realtime_ns = std::max(merged.taken_realtime_ns, profile->taken_realtime_ns);
    merged.tool_version = profile->tool_version;
  }
  return merged;
}

}  // namespace memtrace
