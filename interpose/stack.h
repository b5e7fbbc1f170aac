// Where is the program now? The site of an allocation made at this moment by this thread.

#ifndef MEMTRACE_INTERPOSE_STACK_H_
#define MEMTRACE_INTERPOSE_STACK_H_

#include <cstdint>

#include "core/layout.h"
#include "interpose/python/frames.h"
#include "interpose/thread.h"

namespace memtrace {

// Grows when an object is unloaded: cached callers may name what is no longer there.
extern constinit std::atomic<uint32_t> g_modules_changed;

uint32_t SiteSlow(Thread* t, uint32_t node, Domain domain, uintptr_t caller);
void ForgetCallers(Thread* t);

inline uint32_t FindSite(Thread* t, uint32_t node, Domain domain, uintptr_t caller) {
  const uint64_t key = static_cast<uint64_t>(caller) << 3 | static_cast<uint64_t>(domain);
  const uint64_t hash = (key * 0x9e3779b97f4a7c15ull) ^ (node * 0xc2b2ae3d27d4eb4full);
  SiteCacheEntry* e = t->sites + (hash >> 40) % Thread::kSiteSets * 2;
  if (__builtin_expect(e[0].key == key && e[0].node == node, 1)) return e[0].site;
  if (e[1].key == key && e[1].node == node) return e[1].site;
  const uint32_t site = SiteSlow(t, node, domain, caller);
  if (site != 0) {
    e[1] = e[0];
    e[0] = {key, node, site};
  }
  return site;
}

// caller: return address of malloc's caller for Domain::kMalloc, 0 for Python's domains.
// 0 when the site could not be made (region full).
inline uint32_t SiteHere(Thread* t, Domain domain, uintptr_t caller) {
  if (caller != 0 &&
      __builtin_expect(t->seen_modules != g_modules_changed.load(std::memory_order_relaxed), 0)) {
    ForgetCallers(t);
  }
  return FindSite(t, PythonNode(t), domain, caller);
}

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_STACK_H_
