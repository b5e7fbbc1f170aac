// All blocks of this process that are alive, read from its own live table (core/live_shadow.h).
//
// Other threads go on meanwhile: a block that is just being allocated or freed is there or not, and
// its size may be half written (then it is as large as the address space at most). Only pages of
// the table that exist are read, and none for mappings of more than 8 TB.

#ifndef MEMTRACE_INTERPOSE_LIVE_WALK_H_
#define MEMTRACE_INTERPOSE_LIVE_WALK_H_

#include <cstdint>

namespace memtrace {

using VisitBlock = void (*)(void* context, uint64_t address, uint64_t bytes, uint32_t site);

// False: /proc/self/maps cannot be read.
bool EachLiveBlock(VisitBlock visit, void* context);

// The block that starts at the address; site 0: none.
struct LiveBlock {
  uint64_t bytes;
  uint32_t site;
};
LiveBlock FindLiveBlock(uint64_t address);

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_LIVE_WALK_H_
