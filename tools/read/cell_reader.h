// Copying cells that their owners are writing meanwhile, small or full ones alike.
//
// Threading: any; the mapping must stay. A cell is never seen torn: objects and bytes of a counter
// are stored at once (core/layout.h, at Cell) and loaded at once.

#ifndef MEMTRACE_TOOLS_READ_CELL_READER_H_
#define MEMTRACE_TOOLS_READ_CELL_READER_H_

#include <cstdint>

#include "core/layout.h"

namespace memtrace {

template <typename T>
T Load(const T& place) {
  return __atomic_load_n(&place, __ATOMIC_RELAXED);
}

// One page of cells, small or full ones, and whose it is.
struct Page {
  uint32_t first_site;
  uint32_t slot;
  const SmallPage* small;  // one of the two
  const CellPage* full;

  uint32_t sites() const { return small != nullptr ? kSitesPerSmallPage : kSitesPerBlock; }
};

// Whether nothing has ever been counted in cell i of the page.
bool Untouched(const Page& page, uint32_t i);

// The cell as it was at a moment: its counters only grow, so what reads the same twice was so in
// between. One that never stands still is taken as it is: frees before allocations.
Cell ReadCell(const Page& page, uint32_t i);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_CELL_READER_H_
