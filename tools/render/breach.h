// A broken limit in words: the sentence for people, the annotation for GitHub's runner.

#ifndef MEMTRACE_TOOLS_RENDER_BREACH_H_
#define MEMTRACE_TOOLS_RENDER_BREACH_H_

#include <string>

#include "tools/model/leaks.h"
#include "tools/model/threshold.h"

namespace memtrace {

// "inuse grew by 2.3 MiB (21.4 %), from 10.8 MiB to 13.1 MiB, past inuse>5%&&>2MiB; most of it at
// main.py:9 (+1.1 MiB)"
std::string BreachSentence(const Breach& breach);

// "cache.py:12: grows by 1.2 KiB/s (confidence 99.7 %), past 1MiB/h"
std::string GrowthSentence(const GrowthBreach& breach, GroupBy by);

// "::error file=main.py,line=9,title=memtrace::..." with the runner's escapes. The file is relative
// to `workspace` (its checkout) where it lies in it.
std::string BreachAnnotation(const Breach& breach, const std::string& workspace);
std::string GrowthAnnotation(const GrowthBreach& breach, GroupBy by, const std::string& workspace);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_RENDER_BREACH_H_
