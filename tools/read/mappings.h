// What the process has mapped, as its region tells (section kMappings).
//
// The section may be hostile, and the process goes on: a record that does not hold still, or makes
// no sense, is left out. Time is bounded by the section's size in the file.

#ifndef MEMTRACE_TOOLS_READ_MAPPINGS_H_
#define MEMTRACE_TOOLS_READ_MAPPINGS_H_

#include <cstdint>
#include <vector>

#include "core/layout.h"
#include "tools/read/region_file.h"

namespace memtrace {

struct MappedRange {
  uint64_t start = 0;
  uint64_t end = 0;
  uint32_t site = 0;
  MappingKind kind = MappingKind::kNone;
};

// By address; of two that overlap only the first one's part.
std::vector<MappedRange> ReadMappings(const RegionFile& region);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_MAPPINGS_H_
