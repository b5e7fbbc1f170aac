// The modules of a region, with the build-ids by which their files are known.
//
// Threading: as RegionFile.

#ifndef MEMTRACE_TOOLS_READ_MODULE_LIST_H_
#define MEMTRACE_TOOLS_READ_MODULE_LIST_H_

#include <vector>

#include "absl/status/statusor.h"
#include "tools/model/profile.h"
#include "tools/read/region_file.h"

namespace memtrace {

// Index = id of the region. Id 0, and ids that were reserved and never filled, have no path.
// DataLoss for what no library writes.
absl::StatusOr<std::vector<Module>> ReadModules(const RegionFile& region);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_MODULE_LIST_H_
