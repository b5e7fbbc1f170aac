#include "tools/cli/commands.h"

namespace memtrace {

void RegisterList(CLI::App& app, int* status) {
  app.add_subcommand("list", "List the traced processes of this user")->callback([status] { *status = 1; });
}

}  // namespace memtrace
