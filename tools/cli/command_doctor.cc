#include "tools/cli/commands.h"

namespace memtrace {

void RegisterDoctor(CLI::App& app, int* status) {
  app.add_subcommand("doctor", "Check what will work on this machine, and why")->callback([status] { *status = 1; });
}

}  // namespace memtrace
