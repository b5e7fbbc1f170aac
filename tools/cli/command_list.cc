// memtrace list: the traced processes of this user.

#include <unistd.h>

#include <cstdio>
#include <memory>

#include "tools/cli/commands.h"
#include "tools/cli/region_table.h"
#include "tools/cli/say.h"
#include "tools/read/processes.h"

namespace memtrace {

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
  });
}

}  // namespace memtrace
