#include "tools/cli/commands.h"

namespace memtrace {

void RegisterSnapshot(CLI::App& app, int* status) {
  app.add_subcommand("snapshot", "Write a snapshot of a traced process")->callback([status] { *status = 1; });
}

}  // namespace memtrace
