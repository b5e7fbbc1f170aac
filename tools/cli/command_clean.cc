// memtrace clean: removes the regions of processes that are gone.
//
// A region that is removed while its process lives loses all that it recorded: only files of
// processes that have ended for certain go, unless --all says otherwise.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "tools/cli/commands.h"
#include "tools/cli/say.h"
#include "tools/cli/session.h"
#include "tools/read/processes.h"
#include "tools/render/units.h"

namespace memtrace {
namespace {

struct CleanOptions {
  bool all = false;
  bool dry_run = false;
};

// Of a region that is not complete: it is being made right now, or its maker was killed. The name
// tells the pid, which may be somebody else's by now, and when the process started (0: not known).
bool MakerIsGone(const std::string& path) {
  const std::vector<std::string> parts = absl::StrSplit(path.substr(path.rfind('/') + 1), '-');
  uint64_t start = 0;
  if (parts.size() > 1 && !absl::SimpleAtoi(parts[1], &start)) start = 0;
  const uint64_t present = ProcessStart(std::atoi(parts[0].c_str()));
  return present == 0 || (start != 0 && start != present);
}

// A region of a pid that lives may be in use though it has been replaced by exec: nothing is
// written to it any more, so it may go as well.
bool MayGo(const RegionEntry& entry, bool all) {
  if (all) return true;
  if (absl::IsUnavailable(entry.status)) {
    return MakerIsGone(entry.path);
  }
  if (!entry.status.ok()) return false;
  return !entry.alive();
}

int Clean(const CleanOptions& options) {
  const std::vector<std::string> folders = RegionFolders();
  int64_t bytes = 0;
  int removed = 0, failed = 0, kept = 0;
  for (const RegionEntry& entry : FindRegions(folders)) {
    if (!MayGo(entry, options.all)) {
      ++kept;
      if (!entry.status.ok()) Say(absl::StrFormat("left alone: %s", entry.status.message()));
      continue;
    }
    if (options.dry_run) {
      std::printf("%s\n", Printable(entry.path).c_str());
    } else if (unlink(entry.path.c_str()) != 0 && errno != ENOENT) {
      Say(absl::StrFormat("%s: cannot be removed: %s", entry.path, std::strerror(errno)));
      ++failed;
      continue;
    }
    ++removed;
    bytes += entry.file_bytes;
  }
  // Session folders that are empty now; one that is not stays, because rmdir refuses.
  for (const std::string& folder : folders) {
    if (!options.dry_run && SessionIsOver(folder)) {
      unlink((folder + "/libmemtrace.so").c_str());  // a link that `memtrace run` may have made
      for (const std::string& path : EndedFiles(folder)) unlink(path.c_str());
      rmdir(folder.c_str());
    }
  }
  Say(absl::StrFormat("%s %d region%s, %s; %d kept", options.dry_run ? "would remove" : "removed",
                      removed, removed == 1 ? "" : "s", FormatSize(bytes), kept));
  return failed == 0 ? 0 : 1;
}

}  // namespace

void RegisterClean(CLI::App& app, int* status) {
  auto options = std::make_shared<CleanOptions>();
  CLI::App* command =
      app.add_subcommand("clean", "Remove the regions of processes that have ended");
  command->add_flag("--all", options->all,
                    "Those of living processes too: what they record is lost");
  command->add_flag("-n,--dry-run", options->dry_run, "Only print what would be removed");
  command->footer("Example: memtrace clean --dry-run");
  command->callback([options, status] { *status = Clean(*options); });
}

}  // namespace memtrace
