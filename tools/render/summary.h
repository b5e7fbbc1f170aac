// What `memtrace run` prints on stderr when the program has ended.

#ifndef MEMTRACE_TOOLS_RENDER_SUMMARY_H_
#define MEMTRACE_TOOLS_RENDER_SUMMARY_H_

#include <string>

#include "tools/model/profile.h"
#include "tools/render/terminal.h"

namespace memtrace {

struct SummaryOptions {
  Terminal terminal;
  std::string saved_path;      // "" when no snapshot was written
  std::string killed_because;  // why a signal killed it, where that is known
  int top = 5;
};

// The end-of-run summary: how the program ended, peak, now, allocations, losses, the top lines at
// peak by the program's own lines, the file written, and the command to type next. Of a program
// that was killed also the top lines when it was, unless those are the same.
std::string RenderRunSummary(const Profile& profile, const SummaryOptions& options);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_RENDER_SUMMARY_H_
