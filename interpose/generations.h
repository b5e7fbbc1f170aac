// Generations of sites: blocks allocated from some moment on can be told from those before, as new
// sites are made for them. A generation is known by its first sites; the first one of all is 0.
//
// Threads learn of it as of stale stacks, so that no event pays for it; an event that is under way
// in another thread may still be of the generation before. Sites are made anew as they are needed
// (8 bytes each, and a cell).

#ifndef MEMTRACE_INTERPOSE_GENERATIONS_H_
#define MEMTRACE_INTERPOSE_GENERATIONS_H_

#include <atomic>
#include <cstdint>

#include "core/layout.h"

namespace memtrace {

extern constinit std::atomic<uint32_t> g_generation;  // how many have begun
extern constinit std::atomic<int64_t> g_first_sites;  // of the present one

// Begins one.
int64_t NewGeneration();

inline int64_t PresentGeneration() { return g_first_sites.load(std::memory_order_acquire); }

// Whether the site is of that generation or a later one.
inline bool IsSince(uint32_t site, int64_t generation) {
  const auto first_small = static_cast<uint32_t>(generation);
  const auto first_busy = static_cast<uint32_t>(generation >> 32);
  return IsBusySite(site) ? site - kFirstBusySite >= first_busy : site >= first_small;
}

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_GENERATIONS_H_
