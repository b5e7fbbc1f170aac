// memtrace lines, memtrace mprof: commands of the Python package, which the tool hands on to.

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/cli/child.h"
#include "tools/cli/commands.h"
#include "tools/cli/library_path.h"
#include "tools/cli/python_package.h"
#include "tools/cli/say.h"
#include "tools/cli/session.h"

namespace memtrace {
namespace {

constexpr int kOwnFailure = 125;
constexpr int kCannotExecute = 126;
constexpr int kNotFound = 127;

using Variables = std::vector<std::pair<std::string, std::string>>;

bool SomeLive(const std::string& session, int pid) {
  const std::vector<RegionEntry> entries = SessionRegions(session, pid);
  return std::any_of(entries.begin(), entries.end(),
                     [](const RegionEntry& e) { return e.status.ok() && e.alive(); });
}

// The command's own process is traced, in a folder that is gone afterwards.
int RunTraced(const std::vector<std::string>& argv, const std::string& library,
              Variables variables) {
  const absl::StatusOr<std::string> session = MakeSession();
  const absl::StatusOr<std::string> preloaded =
      session.ok() ? PreloadablePath(library, *session) : session;
  if (!preloaded.ok()) {
    Say(preloaded.status().message());
    if (session.ok()) RemoveSession(*session);
    return kOwnFailure;
  }
  const char* preload = std::getenv("LD_PRELOAD");
  variables.emplace_back("LD_PRELOAD", preload != nullptr && *preload != '\0'
                                           ? absl::StrCat(preload, ":", *preloaded)
                                           : *preloaded);
  variables.emplace_back("MEMTRACE_DIR", *session);
  const absl::StatusOr<ChildResult> child = RunChild(argv, variables, {});
  if (!child.ok() || !SomeLive(*session, child->pid)) RemoveSession(*session);
  if (!child.ok()) {
    Say(child.status().message());
    return kOwnFailure;
  }
  if (child->exec_error != 0) {
    Say(absl::StrFormat("%s: cannot be executed: %s", argv[0], std::strerror(child->exec_error)));
    return kCannotExecute;
  }
  return child->signaled ? 128 + child->status : child->status;
}

// This process becomes the command.
int Become(const std::vector<std::string>& argv, const Variables& variables) {
  for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> pointers;
  for (const std::string& word : argv) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  execv(pointers[0], pointers.data());
  Say(absl::StrFormat("%s: cannot be executed: %s", argv[0], std::strerror(errno)));
  return kCannotExecute;
}

void Register(CLI::App& app, const char* name, const char* description) {
  app.add_subcommand(name, description)->prefix_command();
}

}  // namespace

void RegisterPythonCommands(CLI::App& app) {
  Register(app, "lines", "Run a Python program and show what each of its lines allocates");
  Register(app, "mprof", "Record memory over time, list and plot records, as mprof does");
}

bool IsPythonCommand(const std::string& word) { return word == "lines" || word == "mprof"; }

int RunPythonCommand(const std::vector<std::string>& arguments) {
  const absl::StatusOr<std::string> package = FindPackage();
  const absl::StatusOr<std::string> python = package.ok() ? FindPython() : package;
  if (!python.ok()) {
    Say(python.status().message());
    return kNotFound;
  }
  const absl::StatusOr<std::string> library = FindLibrary();
  if (!library.ok()) {
    Say(library.status().message());
    return kOwnFailure;
  }
  std::vector<std::string> argv = {*python, *package + "/_command.py"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const Variables variables = {{"MEMTRACE_TOOL", ToolPath()},
                               {"MEMTRACE_LIBRARY", *library},
                               {"PYTHONPATH", PythonPath(*package, {})}};
  if (arguments[0] != "lines") return Become(argv, variables);
  if (const std::string why = WhyUntraceable(*python); !why.empty()) {
    Say(absl::StrCat(*python, " cannot be traced: ", why, "; MEMTRACE_PYTHON names another one"));
  }
  return RunTraced(argv, *library, variables);
}

}  // namespace memtrace
