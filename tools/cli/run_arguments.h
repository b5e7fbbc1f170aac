// The "--" of `memtrace run [OPTIONS] -- PROGRAM ARGUMENTS`.
//
// CLI11 does not let a command that passes its arguments on have one, so it is taken out before
// parsing. A "--" after the program's name is the program's own and stays.
#ifndef MEMTRACE_TOOLS_CLI_RUN_ARGUMENTS_H_
#define MEMTRACE_TOOLS_CLI_RUN_ARGUMENTS_H_

#include <string>
#include <vector>

namespace memtrace {

// `arguments`: without the tool's own name.
void DropRunSeparator(std::vector<std::string>* arguments);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_RUN_ARGUMENTS_H_
