#include "tools/cli/oom_watch.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "tools/render/units.h"

namespace memtrace {
namespace {

constexpr size_t kMostGroups = 16;
constexpr int64_t kNoLimit = int64_t{1} << 60;  // the first version writes nearly 2^63 for none

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The value behind "oom_kill " in the group's counters; -1: it has none.
int64_t Kills(const std::string& folder) {
  for (const char* name : {"/memory.events", "/memory.oom_control"}) {
    const std::string text = ReadText(folder + name);
    for (absl::string_view line : absl::StrSplit(text, '\n')) {
      int64_t kills = 0;
      if (absl::ConsumePrefix(&line, "oom_kill ") && absl::SimpleAtoi(line, &kills)) return kills;
    }
  }
  return -1;
}

// In bytes; 0: none.
int64_t Limit(const std::string& folder) {
  for (const char* name : {"/memory.max", "/memory.limit_in_bytes"}) {
    int64_t limit = 0;
    const std::string text = ReadText(folder + name);
    if (absl::SimpleAtoi(text, &limit) && limit < kNoLimit) return limit;
  }
  return 0;
}

// The limit that holds for the group: its own, or that of one around it.
std::string LimitText(std::string folder) {
  for (; folder.size() > 1; folder.resize(folder.rfind('/'))) {
    if (const int64_t limit = Limit(folder); limit > 0) {
      return absl::StrFormat("out of memory: its control group may use %s and needed more",
                             FormatSize(limit));
    }
  }
  return "out of memory: the system had none left";
}

}  // namespace

std::vector<GroupMount> MemoryMounts(const std::string& mountinfo) {
  std::vector<GroupMount> mounts;
  for (absl::string_view line : absl::StrSplit(mountinfo, '\n')) {
    // ID PARENT MAJOR:MINOR ROOT FOLDER OPTIONS... - TYPE SOURCE SUPER-OPTIONS
    const std::vector<std::string> halves = absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    if (halves.size() != 2) continue;
    const std::vector<std::string> place = absl::StrSplit(halves[0], ' ');
    const std::vector<std::string> type = absl::StrSplit(halves[1], ' ');
    if (place.size() < 5 || type.size() < 3) continue;
    const std::vector<std::string> options = absl::StrSplit(type[2], ',');
    const bool memory = std::find(options.begin(), options.end(), "memory") != options.end();
    if (type[0] != "cgroup2" && !(type[0] == "cgroup" && memory)) continue;
    mounts.push_back({place[4], place[3] == "/" ? "" : place[3], type[0] == "cgroup2"});
  }
  return mounts;
}

std::vector<std::string> MemoryGroups(const std::string& cgroup,
                                      const std::vector<GroupMount>& mounts) {
  std::vector<std::string> folders;
  for (absl::string_view line : absl::StrSplit(cgroup, '\n')) {
    // HIERARCHY:CONTROLLERS:PATH; the second version has no controllers here.
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    const std::vector<std::string> controllers = absl::StrSplit(fields[1], ',');
    const bool unified = fields[1].empty();
    if (!unified &&
        std::find(controllers.begin(), controllers.end(), "memory") == controllers.end()) {
      continue;
    }
    for (const GroupMount& mount : mounts) {
      absl::string_view path = fields[2];
      if (mount.unified != unified || !absl::ConsumePrefix(&path, mount.root)) continue;
      folders.push_back(absl::StrCat(mount.folder, path == "/" ? "" : path));
    }
  }
  return folders;
}

void OomWatch::Sample(int32_t pid) {
  const std::string text = ReadText(absl::StrFormat("/proc/%d/cgroup", pid));
  if (text == last_text_ || text.empty() || groups_.size() >= kMostGroups) return;
  last_text_ = text;
  if (mounts_.empty()) mounts_ = MemoryMounts(ReadText("/proc/self/mountinfo"));
  for (const std::string& folder : MemoryGroups(text, mounts_)) {
    const bool known = std::any_of(groups_.begin(), groups_.end(),
                                   [&](const Group& g) { return g.folder == folder; });
    const int64_t kills = Kills(folder);
    if (!known && kills >= 0) groups_.push_back({folder, kills});
  }
}

std::string OomWatch::Struck() const {
  for (const Group& group : groups_) {
    if (Kills(group.folder) > group.kills) return LimitText(group.folder);
  }
  return "";
}

}  // namespace memtrace
