#include "tools/cli/commands.h"

namespace memtrace {

void RegisterRun(CLI::App& app, int* status) {
  app.add_subcommand("run", "Run a program under memtrace")->callback([status] { *status = 1; });
}

}  // namespace memtrace
