#include "tools/cli/app.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "tools/cli/commands.h"
#include "tools/cli/run_arguments.h"

namespace memtrace {
namespace {

constexpr int kUsage = 2;
constexpr int kFailure = 1;

// What went wrong and where to read on; CLI11's own message for --help and --version.
int ReportParseError(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);
  const CLI::App* command = &app;
  for (const CLI::App* chosen : app.get_subcommands()) command = chosen;
  const std::string name = command == &app ? "memtrace" : "memtrace " + command->get_name();
  std::fprintf(stderr, "memtrace: %s\nTry: %s --help\n", error.what(), name.c_str());
  return kUsage;
}

}  // namespace

void BuildApp(CLI::App& app, int* status) {
  app.description(
      "Exact memory tracer for Python and native programs.\n"
      "Start with:  memtrace run python main.py");
  app.name("memtrace");
  app.set_version_flag("--version", "memtrace " MEMTRACE_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Example: memtrace compare before.mtr after.mtr --own --top 3\n"
      "Each command has its own help: memtrace COMMAND --help");
  RegisterRun(app, status);
  RegisterSnapshot(app, status);
  RegisterReport(app, status);
  RegisterCompare(app, status);
  RegisterList(app, status);
  RegisterClean(app, status);
  RegisterDoctor(app, status);
  RegisterCompletion(app, status);
}

int RunApp(int argc, char** argv) {
  int status = 0;
  CLI::App app;
  try {
    BuildApp(app, &status);
    std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
    DropRunSeparator(&arguments);
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    app.parse(std::move(arguments));
    return status;
  } catch (const CLI::ParseError& error) {
    return ReportParseError(app, error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "memtrace: internal error: %s\n", error.what());
    return kFailure;
  }
}

}  // namespace memtrace
