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

// The first word that is no option: CLI11 takes a command it does not know for a missing one.
std::string FirstWord(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] != '-') return argv[i];
  }
  return "";
}

// What went wrong and where to read on; CLI11's own text for --help and --version.
int ReportParseError(const CLI::App& app, const CLI::ParseError& error, const std::string& word,
                     const std::string& option) {
  if (error.get_exit_code() == 0) return app.exit(error);
  std::string command = "memtrace";
  std::string message = error.what();
  const std::vector<CLI::App*> chosen =
      const_cast<CLI::App&>(app).get_subcommands([](CLI::App* sub) { return sub->parsed(); });
  if (!chosen.empty()) {
    command += " " + chosen[0]->get_name();
  } else if (!word.empty()) {
    message = "there is no command \"" + word + "\"";
  } else if (error.get_name() == "RequiredError") {
    message = "a command is missing";
    if (!option.empty()) message += ", and " + option + " means nothing without one";
  }
  std::fprintf(stderr, "memtrace: %s\nTry: %s --help\n", message.c_str(), command.c_str());
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
  RegisterPythonCommands(app);
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
    std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
    if (!arguments.empty() && IsPythonCommand(arguments[0])) return RunPythonCommand(arguments);
    BuildApp(app, &status);
    DropRunSeparator(&arguments);
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    app.parse(std::move(arguments));
    return status;
  } catch (const CLI::ParseError& error) {
    return ReportParseError(app, error, FirstWord(argc, argv), argc > 1 ? argv[1] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "memtrace: internal error: %s\n", error.what());
    return kFailure;
  }
}

}  // namespace memtrace
