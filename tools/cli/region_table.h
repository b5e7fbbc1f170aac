// The table of traced processes that `memtrace list` prints and `memtrace snapshot` offers to
// choose from.
#ifndef MEMTRACE_TOOLS_CLI_REGION_TABLE_H_
#define MEMTRACE_TOOLS_CLI_REGION_TABLE_H_

#include <string>
#include <vector>

#include "tools/read/processes.h"

namespace memtrace {

// One line for each region, with a heading. Commands are cut to `columns`; 0: never.
std::string RegionTable(const std::vector<RegionEntry>& entries, int columns = 0);

// The same as JSON: an object with schema_version and processes[].
std::string RegionJson(const std::vector<RegionEntry>& entries);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_REGION_TABLE_H_
