#include "tools/cli/session.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "core/places.h"

namespace memtrace {
namespace {

// As the library sees it: where no room is left, its regions would not be.
bool HasRoom(const std::string& folder) {
  struct statfs info;
  if (statfs(folder.c_str(), &info) != 0 || info.f_blocks == 0) return true;
  return info.f_bavail * static_cast<uint64_t>(info.f_bsize) >= kLeastRoom;
}

// The folder above, made if missing; "" or why it cannot be used.
std::string WhyNot(const std::string& folder) {
  struct stat info;
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::StrFormat("%s: cannot be made: %s", folder, std::strerror(errno));
  }
  if (lstat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return absl::StrFormat("%s: not a folder", folder);
  }
  if (info.st_uid != geteuid() || (info.st_mode & 077) != 0) {
    return absl::StrFormat("%s: open to others; chmod 700 it, or set MEMTRACE_DIR", folder);
  }
  if (!HasRoom(folder)) {
    return absl::StrFormat("%s: no room is left there; free some, or set MEMTRACE_DIR", folder);
  }
  return "";
}

// The session's folder in that one; "" and *why when none can be made.
std::string MakeIn(const std::string& root, std::string* why) {
  *why = WhyNot(root);
  if (!why->empty()) return "";
  std::string folder = absl::StrFormat("%s/run-%d-XXXXXX", root, getpid());
  if (mkdtemp(folder.data()) == nullptr) {
    *why = absl::StrFormat("%s: no folder can be made in it: %s", root, std::strerror(errno));
    return "";
  }
  // The program may change its folder: what it inherits must be absolute.
  char resolved[PATH_MAX];
  return realpath(folder.c_str(), resolved) != nullptr ? std::string(resolved) : folder;
}

}  // namespace

absl::StatusOr<std::string> MakeSession(std::string* refused) {
  std::vector<std::string> reasons;
  for (const std::string& root : RegionRoots()) {
    std::string why;
    std::string folder = MakeIn(root, &why);
    if (folder.empty()) {
      reasons.push_back(why);
      continue;
    }
    if (refused != nullptr && !reasons.empty()) *refused = reasons.front();
    return folder;
  }
  return absl::UnavailableError(
      absl::StrCat("no place for the records: ", absl::StrJoin(reasons, "; ")));
}

absl::StatusOr<std::string> PreloadablePath(const std::string& library,
                                            const std::string& session) {
  if (library.find_first_of(" :\t\n") == std::string::npos) return library;
  const std::string link = session + "/libmemtrace.so";
  if (link.find_first_of(" :\t\n") != std::string::npos) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s: LD_PRELOAD cannot hold a path with spaces or colons; set MEMTRACE_DIR to a folder "
        "without them",
        session));
  }
  if (symlink(library.c_str(), link.c_str()) != 0) {
    return absl::UnavailableError(
        absl::StrFormat("%s: cannot be made: %s", link, std::strerror(errno)));
  }
  return link;
}

void RemoveSession(const std::string& session) {
  DIR* dir = opendir(session.c_str());
  if (dir == nullptr) return;
  while (const dirent* entry = readdir(dir)) {
    unlinkat(dirfd(dir), entry->d_name, 0);  // fails for . and .., as it should
  }
  closedir(dir);
  rmdir(session.c_str());
}

std::vector<RegionEntry> SessionRegions(const std::string& session, int32_t main_pid) {
  std::vector<RegionEntry> entries = FindRegions({session});
  std::erase_if(entries, [](const RegionEntry& e) { return absl::IsUnavailable(e.status); });
  const auto rank = [main_pid](const RegionEntry& e) {
    return e.pid == main_pid ? -static_cast<int64_t>(e.exec_index) - 1 : 0;
  };
  std::stable_sort(entries.begin(), entries.end(),
                   [&](const RegionEntry& a, const RegionEntry& b) { return rank(a) < rank(b); });
  return entries;
}

bool SessionIsOver(const std::string& folder) {
  const size_t name = folder.rfind("/run-");
  return name != std::string::npos && ProcessStart(std::atoi(folder.c_str() + name + 5)) == 0;
}

std::vector<std::string> EndedFiles(const std::string& folder) {
  std::vector<std::string> files;
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return files;
  while (const dirent* entry = readdir(dir)) {
    if (absl::StartsWith(entry->d_name, "ended-")) files.push_back(folder + "/" + entry->d_name);
  }
  closedir(dir);
  return files;
}

}  // namespace memtrace
