// Where is the program now? The site of an allocation made at this moment by this thread.

#ifndef MEMTRACE_INTERPOSE_STACK_H_
#define MEMTRACE_INTERPOSE_STACK_H_

#include <cstdint>

#include "core/layout.h"
#include "interpose/native.h"
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

// Site in one of Python's domains (kPythonMem, kPythonObj): remembered where the node is cached.
// 0 when the site could not be made (region full).
inline uint32_t PythonSiteHere(Thread* t, Domain domain) {
  t->top_entry = Thread::kNoEntry;
  const uint32_t node = PythonNode(t);
  if (__builtin_expect(t->top_entry == Thread::kNoEntry, 0)) return FindSite(t, node, domain, 0);
  NodeCacheEntry& e = t->nodes[t->top_entry];
  if (__builtin_expect(e.node != node, 0)) return FindSite(t, node, domain, 0);  // evicted since
  uint32_t& site = e.python_sites[static_cast<int>(domain) - static_cast<int>(Domain::kPythonMem)];
  if (__builtin_expect(site == 0, 0)) site = SiteSlow(t, node, domain, 0);
  return site;
}

// Site of an allocation in Domain::kMalloc; caller: the return address of malloc.
inline uint32_t MallocSiteHere(Thread* t, uintptr_t caller) {
  const uint32_t changed = g_modules_changed.load(std::memory_order_relaxed);
  if (__builtin_expect(t->seen_modules != changed, 0)) ForgetCallers(t);
  uint32_t node = PythonNode(t);
  if (__builtin_expect(g_native, 0)) node = NativeNode(t, node);
  return FindSite(t, node, Domain::kMalloc, caller);
}

inline uint32_t SiteHere(Thread* t, Domain domain, uintptr_t caller) {
  return domain == Domain::kMalloc ? MallocSiteHere(t, caller) : PythonSiteHere(t, domain);
}

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_STACK_H_
