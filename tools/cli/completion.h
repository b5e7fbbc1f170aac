// Completion scripts for shells, made from the command line's own description, so that they offer
// exactly what the tool accepts.

#ifndef MEMTRACE_TOOLS_CLI_COMPLETION_H_
#define MEMTRACE_TOOLS_CLI_COMPLETION_H_

#include <CLI/CLI.hpp>
#include <string>

namespace memtrace {

std::string BashCompletion(const CLI::App& app);
std::string ZshCompletion(const CLI::App& app);
std::string FishCompletion(const CLI::App& app);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_COMPLETION_H_
