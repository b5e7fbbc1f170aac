// memtrace list: the traced processes of this user.

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "tools/cli/commands.h"
#include "tools/cli/region_table.h"
#include "tools/cli/say.h"
#include "tools/cli/session.h"
#include "tools/read/processes.h"

namespace memtrace {
namespace {

// Where a `memtrace run` that was killed left snapshots of processes that had ended before.
std::vector<std::string> FoldersWithSnapshots() {
  std::vector<std::string> found;
  for (const std::string& folder : RegionFolders()) {
    if (SessionIsOver(folder) && !EndedFiles(folder).empty()) found.push_back(folder);
  }
  return found;
}

}  // namespace

void RegisterList(CLI::App& app, int* status) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand(
      "list", "List the traced processes of this user: pid, state, now, peak, age, command");
  command->add_flag("--json", *json, "As JSON");
  command->footer("Example: memtrace list");
  command->callback([json, status] {
    *status = 0;
    const std::vector<RegionEntry> entries = FindRegions(RegionFolders());
    if (*json) {
      std::fputs(RegionJson(entries).c_str(), stdout);
    } else if (entries.empty()) {
      Say("no process is traced, and none has left a region; start one with `memtrace run "
          "PROGRAM`");
    } else {
      std::fputs(RegionTable(entries, DescribeTerminal(STDOUT_FILENO).columns).c_str(), stdout);
    }
    for (const std::string& folder : FoldersWithSnapshots()) {
      Say(
          absl::StrFormat("processes that ended before their `memtrace run` was killed: memtrace "
                          "report %s/ended-*.mtr",
                          folder));
    }
  });
}

}  // namespace memtrace
