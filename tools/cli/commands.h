// The tool's commands. Each lives in a file of its own, command_<name>.cc, and registers itself.
//
// A command's callback prints to the given streams and sets *status; it never calls exit(). Status:
// 0 done, 1 failure or a threshold passed, 2 usage; `run` passes the program's own on.

#ifndef MEMTRACE_TOOLS_CLI_COMMANDS_H_
#define MEMTRACE_TOOLS_CLI_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace memtrace {

void RegisterRun(CLI::App& app, int* status);
void RegisterSnapshot(CLI::App& app, int* status);
void RegisterReport(CLI::App& app, int* status);
void RegisterCompare(CLI::App& app, int* status);
void RegisterList(CLI::App& app, int* status);
void RegisterClean(CLI::App& app, int* status);
void RegisterDoctor(CLI::App& app, int* status);
void RegisterCompletion(CLI::App& app, int* status);

// Commands of the Python package (lines, mprof): registered for help and completion alone, as their
// arguments are Python's to read. `arguments`: the command and what follows it; returns the status.
void RegisterPythonCommands(CLI::App& app);
bool IsPythonCommand(const std::string& word);
int RunPythonCommand(const std::vector<std::string>& arguments);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_COMMANDS_H_
