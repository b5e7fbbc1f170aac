#include "tools/cli/commands.h"

namespace memtrace {

void RegisterClean(CLI::App& app, int* status) {
  app.add_subcommand("clean", "Remove what dead processes left behind")->callback([status] { *status = 1; });
}

}  // namespace memtrace
