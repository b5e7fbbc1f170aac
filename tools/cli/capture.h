// The output of a short command, for checks.
#ifndef MEMTRACE_TOOLS_CLI_CAPTURE_H_
#define MEMTRACE_TOOLS_CLI_CAPTURE_H_

#include <string>
#include <utility>
#include <vector>

namespace memtrace {

struct Captured {
  bool started = false;
  bool timed_out = false;
  int status = -1;       // exit status; 128 + signal
  std::string standard;  // at most 64 KiB each
  std::string error;
};

// Runs argv[0] (found on PATH) with `variables` in its environment and nothing to read; ends it
// after `timeout_ms`.
Captured Capture(const std::vector<std::string>& argv,
                 const std::vector<std::pair<std::string, std::string>>& variables,
                 int timeout_ms = 10000);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_CAPTURE_H_
