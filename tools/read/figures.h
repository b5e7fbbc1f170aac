// The figures of a region: what each site allocated, holds, and held at the peak.
//
// Role. Reads the cells while their owners go on writing them. A block is counted as freed in the
// cell of the thread that frees it, so a site's figures are the sum of its cells over all threads.
//
// Guarantees, also while the process runs
//  1. Live figures are never negative: of each site all frees are read before all allocations.
//  2. A site that one thread alone has touched is read as it was at one moment: its cell is read
//     until it reads the same twice.
//  3. The peak's figures belong to one and the same peak: when it moved meanwhile, all is read
//  again,
//     kPeakAttempts times at most; after that the difference is what Figures::peak_bound says.
//  4. Sums never overflow: counters beyond what a process can ever reach are reported as damage.
//
// Mappings have figures as blocks have, but the totals and the peak are of memory alone.
//
// Blocks that a forked child inherited are the parent's: they are summed apart.

#ifndef MEMTRACE_TOOLS_READ_FIGURES_H_
#define MEMTRACE_TOOLS_READ_FIGURES_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/model/profile.h"
#include "tools/read/region_file.h"

namespace memtrace {

struct SiteFigures {
  uint32_t node = 0;    // of the region
  uint32_t caller = 0;  // frame of the region
  uint32_t slot = 0;    // thread slot
  Domain domain = Domain::kNone;
  Values values;
};

struct Figures {
  std::vector<SiteFigures> sites;  // those with any figure
  int64_t now_bytes = 0;           // as the totals of the header have it
  int64_t peak_bytes = 0;          // of the process's own blocks
  int64_t peak_bound = 0;          // 0: exact
  bool at_peak = false;            // the process holds more than ever before
  int64_t inherited_bytes = 0;     // from the parent, still live
};

absl::StatusOr<Figures> ReadFigures(const RegionFile& region);

// Totals alone, for a status line or a list: a few loads, nothing per site.
struct HeaderTotals {
  int64_t now_bytes = 0;
  int64_t peak_bytes = 0;
};
HeaderTotals ReadTotals(const RegionFile& region);

// Blocks allocated so far, without mappings: a sum over all cells.
int64_t CountAllocations(const RegionFile& region);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_FIGURES_H_
