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
  if (__builtin_expect(e[0].key != key || e[0].node != node, 0)) {
    if (e[1].key == key && e[1].node == node) {
      e++;
    } else {
      const uint32_t site = SiteSlow(t, node, domain, caller);
      if (site == 0) return 0;
      e[1] = e[0];
      e[0] = {key, node, site};
    }
  }
  t->site_place = &e->site;
  return e->site;
}

// Site of an allocation outside Python's domains; caller: the return address of malloc, mmap, ...
// Without native stacks, which are the hooks' business.
inline uint32_t MallocSiteHere(Thread* t, uintptr_t caller, Domain domain = Domain::kMalloc) {
  const uint32_t changed = g_modules_changed.load(std::memory_order_relaxed);
  if (__builtin_expect(t->seen_modules != changed, 0)) ForgetCallers(t);
  const uint32_t node = python::g_reader.node == nullptr ? 0 : PythonNode(t);
  return FindSite(t, node, domain, caller);
}

// In one of Python's domains (kPythonMem, kPythonObj). 0 when the site could not be made (region
// full).
inline uint32_t PythonSiteHere(Thread* t, Domain domain) {
  if (__builtin_expect(python::g_reader.site == nullptr, 0)) return FindSite(t, 0, domain, 0);
  const char* tstate = python::ThreadState(t);
  if (__builtin_expect(!python::MayRead(t, tstate), 0)) return FindSite(t, 0, domain, 0);
  return python::g_reader.site(t, tstate, python::WhichOf(domain));
}

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_STACK_H_
