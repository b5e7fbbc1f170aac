// Which allocations tracemalloc would see, and in which of its domains: Python's own, and what
// numpy and pandas tell it of.

#ifndef MEMTRACE_INTERPOSE_TRACKED_H_
#define MEMTRACE_INTERPOSE_TRACKED_H_

#include <atomic>
#include <cstdint>

#include "core/layout.h"

namespace memtrace {

// MEMTRACE_TRACKED_... of inspect.h.
int32_t TrackedOf(uint32_t site);

// While it is on, every thread takes the slow way, which counts what tracked blocks hold; so their
// peak is exact and their own, not that of the process.
extern constinit std::atomic<bool> g_tracking;
struct TrackedBytes {
  int64_t current;
  int64_t peak;
};
// From `now` on, for blocks of that generation and later ones.
void BeginTracking(int64_t generation, TrackedBytes now);
void EndTracking();
TrackedBytes TrackedNow();
void ResetTrackedPeak();
// Bytes of a block of that site, freed ones below zero. Any thread, in an event.
void Track(uint32_t site, int64_t bytes);

// What called malloc, not one of Python's allocators; nullptr: in no module.
const ModuleRecord* CallingModule(SiteRecord site);

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_TRACKED_H_
