// The command line as a whole: every command, its flags and its help.
//
// Role. main.cc parses with it; completion scripts and the manual page's test walk through it, so
// that neither can drift from what the tool accepts.

#ifndef MEMTRACE_TOOLS_CLI_APP_H_
#define MEMTRACE_TOOLS_CLI_APP_H_

#include <CLI/CLI.hpp>

namespace memtrace {

// Registers all commands. Their callbacks set *status.
void BuildApp(CLI::App& app, int* status);

// Parses and runs; the process's exit status. Errors go to stderr.
int RunApp(int argc, char** argv);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_APP_H_
