// The ledger of a living process: what its resident memory is made of (tools/model/ledger.h).
//
// Role. Joins what the kernel says of its mappings, what the region says, and where its live blocks
// lie. Of blocks only what is in memory counts: one that was never touched takes none.
//
// Where the live table cannot be read (the process's address space is limited, or the kernel lets
// only its parent read its memory) it is not known in whose memory the blocks lie: then what all
// allocators hold beyond all blocks is one part, kAllocatorSlack, and Ledger::why says so.
//
// mallinfo2 is not asked for: it takes the locks of glibc's arenas, and a hook may have been
// entered from a signal handler that interrupted free.
//
// Threading: none. The process goes on meanwhile; the parts still sum to what smaps said.

#ifndef MEMTRACE_TOOLS_READ_LEDGER_H_
#define MEMTRACE_TOOLS_READ_LEDGER_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/model/ledger.h"
#include "tools/read/address_map.h"
#include "tools/read/region_file.h"
#include "tools/read/symbolize.h"

namespace memtrace {

// A ledger whose lines are sites of the region still: names may wait until it is known which ledger
// is kept.
struct RawLedger {
  Ledger ledger;
  std::map<uint32_t, int64_t> anonymous;  // site -> resident bytes
  // Of each of Python's arenas that is filled to less than a quarter: its blocks by site.
  std::vector<std::vector<std::pair<uint32_t, int64_t>>> pinned;
};

// pid: of the process whose region it is, alive. The sentence of an error is why there is no
// ledger. locate false: without a look at each block, which takes a second for 15 million.
absl::StatusOr<RawLedger> TakeLedger(const RegionFile& region, int32_t pid, bool locate = true);

// The few that a part is shown with, the largest first.
std::vector<LedgerItem> LargestItems(std::vector<LedgerItem> items);

// With the names of lines. Without a symbolizer native code is module and address.
Ledger NamedLedger(const RegionFile& region, RawLedger raw, Symbolizer* symbolizer);

// Both; an error becomes a ledger that says why it is none.
Ledger ReadLedger(const RegionFile& region, int32_t pid, Symbolizer* symbolizer);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_LEDGER_H_
