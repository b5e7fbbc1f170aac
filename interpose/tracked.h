// Which allocations tracemalloc would see, and in which of its domains: Python's own, and what
// numpy and pandas tell it of.

#ifndef MEMTRACE_INTERPOSE_TRACKED_H_
#define MEMTRACE_INTERPOSE_TRACKED_H_

#include <cstdint>

#include "core/layout.h"

namespace memtrace {

// MEMTRACE_TRACKED_... of inspect.h.
int32_t TrackedOf(uint32_t site);

// What called malloc, not one of Python's allocators; nullptr: in no module.
const ModuleRecord* CallingModule(SiteRecord site);

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_TRACKED_H_
