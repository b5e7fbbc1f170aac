// Where libmemtrace.so is, and whether a program can be traced with it.
#ifndef MEMTRACE_TOOLS_CLI_LIBRARY_PATH_H_
#define MEMTRACE_TOOLS_CLI_LIBRARY_PATH_H_

#include <string>

#include "absl/status/statusor.h"

namespace memtrace {

// Absolute path: MEMTRACE_LIBRARY if set; else beside this tool, in the build tree, in the install
// tree (bin/memtrace and lib/…/memtrace/libmemtrace.so), or in the Python package that the tool
// came with (lib/python3.X/site-packages/memtrace).
absl::StatusOr<std::string> FindLibrary();

// Absolute path of this executable.
std::string ToolPath();

// The file that execvp would run, or "" when there is none. *denied: there is one, but it may not
// be executed.
std::string FindProgram(const std::string& name, bool* denied);

// Why LD_PRELOAD will not work on this executable (static, setuid, another architecture or C
// library), as the end of a sentence; "" when nothing speaks against it. Follows "#!" lines.
std::string WhyUntraceable(const std::string& executable);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_LIBRARY_PATH_H_
