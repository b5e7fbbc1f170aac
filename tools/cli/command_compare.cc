#include "tools/cli/commands.h"

namespace memtrace {

void RegisterCompare(CLI::App& app, int* status) {
  app.add_subcommand("compare", "Compare")->callback([status] { *status = 1; });
}

}  // namespace memtrace
