#include "tools/read/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "core/places.h"
#include "tools/model/file_names.h"
#include "tools/read/figures.h"
#include "tools/read/region_file.h"
#include "tools/read/section_view.h"

namespace memtrace {
namespace {

constexpr absl::string_view kSuffix = ".region";

std::string ReadSmallFile(const std::string& path) {
  std::string text(4096, '\0');
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  const ssize_t bytes = read(fd, text.data(), text.size());
  close(fd);
  text.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
  return text;
}

// A folder of ours, and not a symbolic link to somewhere else.
bool IsOwnFolder(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid();
}

std::vector<std::string> Names(const std::string& folder) {
  std::vector<std::string> names;
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return names;
  while (const dirent* entry = readdir(dir)) names.emplace_back(entry->d_name);
  closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

// Whether the process now runs another program than the one recorded: it went on by exec into one
// that is not traced.
bool RunsAnotherProgram(const RegionEntry& entry) {
  char target[PATH_MAX];
  const std::string link = absl::StrFormat("/proc/%d/exe", entry.pid);
  const ssize_t bytes = readlink(link.c_str(), target, sizeof(target));
  if (bytes <= 0 || entry.executable.empty()) return false;
  absl::string_view now(target, static_cast<size_t>(bytes));
  absl::string_view recorded = entry.executable;
  absl::ConsumeSuffix(&now, " (deleted)");
  absl::ConsumeSuffix(&recorded, " (deleted)");
  return now != recorded;
}

// The inode number of this process's pid namespace; 0: unknown.
uint32_t PidNamespace() {
  struct stat info;
  return stat("/proc/self/ns/pid", &info) == 0 ? static_cast<uint32_t>(info.st_ino) : 0;
}

// A process of another container cannot be looked for here: it may well live.
EndKind StateOf(const RegionEntry& entry, uint32_t pid_namespace, bool ended) {
  if (ended) return EndKind::kExited;
  if (pid_namespace != 0 && pid_namespace != PidNamespace()) return EndKind::kRunning;
  const uint64_t start = ProcessStart(entry.pid);
  // A process without /proc, below chroot for one, does not know when it started.
  if (start == 0 || (entry.process_start != 0 && entry.process_start != start)) {
    return EndKind::kDied;
  }
  return RunsAnotherProgram(entry) ? EndKind::kReplacedByExec : EndKind::kRunning;
}

std::vector<std::string> SplitCommand(std::string joined) {
  if (!joined.empty() && joined.back() == '\0') joined.pop_back();
  if (joined.empty()) return {};
  return absl::StrSplit(joined, '\0');
}

bool IsPython(absl::string_view program) {
  return absl::StartsWith(BaseName(program), "python") ||
         absl::StartsWith(BaseName(program), "pypy");
}

bool NameMatches(const RegionEntry& entry, absl::string_view name) {
  if (entry.command.empty()) return false;
  if (ProgramName(entry.command) == name || BaseName(entry.command[0]) == name) return true;
  return IsPython(entry.command[0]) && entry.command.size() > 1 &&
         BaseName(entry.command[1]) == name;
}

}  // namespace

std::vector<std::string> RegionRoots() {
  if (const char* set = getenv("MEMTRACE_DIR"); set != nullptr && *set != '\0') return {set};
  const char* tmp = getenv("TMPDIR");
  return {absl::StrFormat("%s/memtrace-%d", kSharedMemory, geteuid()),
          absl::StrFormat("%s/memtrace-%d", tmp != nullptr && *tmp != '\0' ? tmp : kTemporary,
                          geteuid())};
}

std::vector<std::string> RegionFolders() {
  std::vector<std::string> folders;
  for (const std::string& root : RegionRoots()) {
    if (!IsOwnFolder(root)) continue;
    folders.push_back(root);
    for (const std::string& name : Names(root)) {
      const std::string path = absl::StrCat(root, "/", name);
      if (absl::StartsWith(name, "run-") && IsOwnFolder(path)) folders.push_back(path);
    }
  }
  return folders;
}

RegionEntry DescribeRegion(const std::string& path) {
  RegionEntry entry;
  entry.path = path;
  struct stat info;
  if (lstat(path.c_str(), &info) == 0) entry.file_bytes = int64_t{info.st_blocks} * 512;
  auto region = RegionFile::Open(path);
  if (!region.ok()) {
    entry.status = region.status();
    return entry;
  }
  const Header& header = (*region)->header();
  entry.pid = header.pid;
  entry.parent_pid = header.parent_pid;
  entry.process_start = header.process_start;
  entry.exec_index = header.exec_index;
  entry.start_realtime_ns = static_cast<int64_t>(header.start_realtime_ns & INT64_MAX);
  const HeaderTotals totals = ReadTotals(**region);
  entry.now_bytes = totals.now_bytes;
  entry.peak_bytes = totals.peak_bytes;
  if (auto text = ReadString(**region, header.command); text.ok()) {
    entry.command = SplitCommand(*text);
  }
  if (auto text = ReadRawString(**region, header.executable); text.ok()) entry.executable = *text;
  entry.state = StateOf(entry, header.pid_namespace,
                        header.end.load() == static_cast<uint32_t>(ProcessEnd::kExited));
  entry.status = (*region)->Check();
  return entry;
}

std::vector<RegionEntry> FindRegions(const std::vector<std::string>& folders) {
  std::vector<RegionEntry> entries;
  for (const std::string& folder : folders) {
    for (const std::string& name : Names(folder)) {
      if (!absl::EndsWith(name, kSuffix)) continue;
      RegionEntry entry = DescribeRegion(absl::StrCat(folder, "/", name));
      if (absl::IsNotFound(entry.status)) continue;  // removed meanwhile
      entries.push_back(std::move(entry));
    }
  }
  // The last image of each process; what it ran before was replaced by exec.
  std::map<std::pair<int32_t, uint64_t>, uint32_t> last;
  for (const RegionEntry& entry : entries) {
    uint32_t& index = last[{entry.pid, entry.process_start}];
    index = std::max(index, entry.exec_index);
  }
  for (RegionEntry& entry : entries) {
    if (entry.exec_index < last[{entry.pid, entry.process_start}]) {
      entry.state = EndKind::kReplacedByExec;
    }
  }
  std::sort(entries.begin(), entries.end(), [](const RegionEntry& a, const RegionEntry& b) {
    return std::tie(a.start_realtime_ns, a.pid, a.exec_index) <
           std::tie(b.start_realtime_ns, b.pid, b.exec_index);
  });
  return entries;
}

std::vector<RegionEntry> MatchRegions(const std::vector<RegionEntry>& regions,
                                      absl::string_view pid_or_name) {
  int32_t pid = 0;
  const bool by_pid = absl::SimpleAtoi(pid_or_name, &pid);
  std::map<std::pair<int32_t, uint64_t>, RegionEntry> last;
  for (const RegionEntry& entry : regions) {
    if (!entry.status.ok()) continue;
    if (by_pid ? entry.pid != pid : !NameMatches(entry, pid_or_name)) continue;
    auto [it, fresh] = last.try_emplace({entry.pid, entry.process_start}, entry);
    if (!fresh && entry.exec_index > it->second.exec_index) it->second = entry;
  }
  std::vector<RegionEntry> matches;
  for (auto& [key, entry] : last) matches.push_back(std::move(entry));
  std::stable_sort(matches.begin(), matches.end(), [](const RegionEntry& a, const RegionEntry& b) {
    return std::make_tuple(b.alive(), b.start_realtime_ns) <
           std::make_tuple(a.alive(), a.start_realtime_ns);
  });
  return matches;
}

uint64_t ProcessStart(int32_t pid) {
  if (pid <= 0) return 0;
  const std::string stat = ReadSmallFile(absl::StrFormat("/proc/%d/stat", pid));
  // The name, in parentheses, may hold anything: fields are counted from the last one.
  const size_t close = stat.rfind(')');
  if (close == std::string::npos || close + 2 >= stat.size()) return 0;
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(close + 2), ' ');
  uint64_t start = 0;
  if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X") return 0;
  return absl::SimpleAtoi(fields[19], &start) ? start : 0;
}

std::string ProgramName(const std::vector<std::string>& command) {
  if (command.empty()) return "program";
  absl::string_view name = BaseName(command[0]);
  if (IsPython(command[0]) && command.size() > 1) {
    if (command[1] == "-m" && command.size() > 2) return command[2];
    if (!command[1].empty() && command[1][0] != '-') {
      name = BaseName(command[1]);
      absl::ConsumeSuffix(&name, ".py");
    }
  }
  return name.empty() ? "program" : std::string(name);
}

std::string CommandText(const std::vector<std::string>& command) {
  return absl::StrJoin(command, " ", [](std::string* out, const std::string& argument) {
    const bool plain =
        !argument.empty() && std::all_of(argument.begin(), argument.end(), [](unsigned char c) {
          return absl::ascii_isalnum(c) || c >= 0x80 ||
                 absl::string_view("-_./=:,+@%^").find(static_cast<char>(c)) !=
                     absl::string_view::npos;
        });
    absl::StrAppend(
        out,
        plain ? argument : absl::StrCat("'", absl::StrReplaceAll(argument, {{"'", "'\\''"}}), "'"));
  });
}

absl::string_view StateText(EndKind state) {
  switch (state) {
    case EndKind::kRunning:
      return "running";
    case EndKind::kExited:
      return "exited";
    case EndKind::kSignaled:
      return "killed";
    case EndKind::kDied:
      return "died";
    case EndKind::kReplacedByExec:
      return "replaced by exec";
    default:
      return "unknown";
  }
}

}  // namespace memtrace
