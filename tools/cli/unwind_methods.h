// The ways in which the library can take native stacks, by the names of `memtrace run --unwind`.
#ifndef MEMTRACE_TOOLS_CLI_UNWIND_METHODS_H_
#define MEMTRACE_TOOLS_CLI_UNWIND_METHODS_H_

#include <string>
#include <vector>

namespace memtrace {

// The first one is used where none is named.
inline std::vector<std::string> UnwindMethods() {
  return {"incremental", "libunwind", "fp", "boost"};
}

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_UNWIND_METHODS_H_
