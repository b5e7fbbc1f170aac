// The live line of `memtrace run`: elapsed, now, peak, allocations.
//
// It keeps to the bottom row of the terminal, which is taken out of the scrolling area, so that it
// never mixes with what the program prints. It is there only when stderr is a terminal that can do
// this, not in CI, and only while the terminal is in its normal mode: a full-screen program has the
// screen to itself. Nothing is shown in the first second.
//
// Threading: none. Hide() must be called before anything else is printed.
#ifndef MEMTRACE_TOOLS_CLI_STATUS_LINE_H_
#define MEMTRACE_TOOLS_CLI_STATUS_LINE_H_

#include <cstdint>
#include <string>

#include "tools/cli/region_follower.h"

namespace memtrace {

class StatusLine {
 public:
  // `wanted` false: does nothing, ever.
  StatusLine(bool wanted, std::string session, int32_t pid);
  ~StatusLine() { Hide(); }

  // Draws it anew; call some times a second.
  void Update(int64_t elapsed_ns);
  void Hide();

 private:
  bool Show(int rows);

  const bool wanted_;
  int rows_ = 0;  // of the terminal while the line is shown; 0: hidden
  RegionFollower follower_;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_STATUS_LINE_H_
