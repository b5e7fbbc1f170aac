#include "interpose/generations.h"

#include "interpose/region.h"
#include "interpose/stack.h"
#include "interpose/thread.h"

namespace memtrace {

constinit std::atomic<uint32_t> g_generation{0};
constinit std::atomic<int64_t> g_first_sites{0};

// Sites are reserved in groups: what a thread has left of its group is of the generation before,
// and dropped when the thread learns of this one (RenewSites).
int64_t NewGeneration() {
  const Section* sections = g_region.header()->sections;
  const uint64_t small = sections[kSites].used.load(std::memory_order_acquire);
  const uint64_t busy = sections[kBusySites].used.load(std::memory_order_acquire);
  const auto first = static_cast<int64_t>(small | busy << 32);
  g_first_sites.store(first, std::memory_order_release);
  g_generation.fetch_add(1, std::memory_order_acq_rel);
  g_stale.fetch_add(1, std::memory_order_acq_rel);
  g_modules_changed.fetch_add(1, std::memory_order_acq_rel);
  return first;
}

}  // namespace memtrace
