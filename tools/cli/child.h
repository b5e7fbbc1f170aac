// Runs a program as `memtrace run` does: like env or nice, it should not be noticed.
//
// The program gets memtrace's own streams, process group, signal mask and dispositions. While it
// runs, memtrace
//  - lets the terminal's own signals (Ctrl-C, Ctrl-\) pass by: the program has got them already;
//  - passes on what is sent to memtrace itself (kill PID, a supervisor's SIGTERM);
//  - stops when the program stops, so that the shell sees it, and goes on with it.
//
// Threading: changes the process's signal mask; for a single-threaded tool.
#ifndef MEMTRACE_TOOLS_CLI_CHILD_H_
#define MEMTRACE_TOOLS_CLI_CHILD_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace memtrace {

struct ChildResult {
  int pid = 0;
  int exec_error = 0;     // errno when it could not be executed
  bool signaled = false;  // ended by a signal
  int status = 0;         // exit status, or the signal
  int64_t elapsed_ns = 0;
};

struct ChildHooks {
  std::function<void(int pid)> on_start;
  std::function<void(int64_t elapsed_ns)> on_tick;  // every kTickMillis
  std::function<void()> on_stop;                    // before memtrace stops with the program
};

inline constexpr int kTickMillis = 50;

// Runs argv[0] (found on PATH) with `variables` set in its environment, to its end.
absl::StatusOr<ChildResult> RunChild(
    const std::vector<std::string>& argv,
    const std::vector<std::pair<std::string, std::string>>& variables, const ChildHooks& hooks);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_CHILD_H_
