// The Python package `memtrace`, as the tool's commands need it: where it is, what Python programs
// are to find of it, and which interpreter runs its own commands.
#ifndef MEMTRACE_TOOLS_CLI_PYTHON_PACKAGE_H_
#define MEMTRACE_TOOLS_CLI_PYTHON_PACKAGE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace memtrace {

// The package's folder, absolute: in the build tree, in the install tree, or where the library lies
// in it. NotFound: this tool came without it.
absl::StatusOr<std::string> FindPackage();

// PYTHONPATH for a program: stand-ins for other modules (folders of the package's `_instead`)
// before what is in the environment, and behind it a folder with nothing but `memtrace`, for
// programs whose interpreter does not have the package. The folder that the package is in is not
// put there: it may hold all the packages of an interpreter that is not the program's.
std::string PythonPath(const std::string& package, const std::vector<std::string>& stand_ins);

// Takes `-X tracemalloc[=N]` out of a program's words, if it is a Python; N ("1" when none is
// given), "" when there was none.
std::string TakeTracemallocOption(std::vector<std::string>* program);

// The interpreter for the package's own commands: MEMTRACE_PYTHON, else python3 or python on PATH,
// else beside this tool. NotFound: there is none, and what to do.
absl::StatusOr<std::string> FindPython();

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_PYTHON_PACKAGE_H_
