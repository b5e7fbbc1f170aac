// Source text of the lines that matter, stored in the snapshot.
//
// A snapshot is read on other machines and years later, when the sources have moved on: the text is
// taken while it is sure to be right. A file changed after the process started is left out, because
// a wrong line is worse than none.
//
// Bounds: kMaxLines lines, files of at most kMaxFileBytes, and no file is waited for.

#ifndef MEMTRACE_TOOLS_READ_SOURCE_LINES_H_
#define MEMTRACE_TOOLS_READ_SOURCE_LINES_H_

#include "tools/model/profile.h"

namespace memtrace {

inline constexpr size_t kMaxLines = 4000;
inline constexpr int64_t kMaxFileBytes = int64_t{16} << 20;

// Adds to profile->source_lines the lines (with all that they called) that hold at least 0.1 % of
// any figure, or are among the first 1000.
void AddSourceLines(Profile* profile);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_SOURCE_LINES_H_
