#include "interpose/stack.h"

#include <errno.h>
#include <string.h>

#include "interpose/site_tree.h"
#include "interpose/threads.h"

namespace memtrace {

constinit std::atomic<uint32_t> g_modules_changed{0};

__attribute__((noinline)) void ForgetCallers(Thread* t) {
  t->seen_modules = g_modules_changed.load(std::memory_order_acquire);
  memset(t->callers, 0, sizeof t->callers);
  memset(t->sites, 0, sizeof t->sites);
  RenewSites(t);
}

uint32_t NativeFrame(Thread* t, uintptr_t caller) {
  CallerCacheEntry& e = t->callers[(caller * 0x9e3779b97f4a7c15ull >> 40) % Thread::kCallers];
  if (e.address != caller || e.frame == 0) {
    e.frame = InternNativeFrame(t, caller);
    e.address = caller;
  }
  return e.frame;
}

__attribute__((noinline)) uint32_t SiteSlow(Thread* t, uint32_t node, Domain domain,
                                            uintptr_t caller) {
  const int saved_errno = errno;
  uint32_t site;
  if (g_native) {
    site = InternSiteOfStacks(t, node, static_cast<uint32_t>(caller), domain);
  } else if (IsPythonDomain(domain)) {
    site = InternPythonSite(t, node, domain);
  } else {
    site = InternSite(t, node, NativeFrame(t, caller), domain);
  }
  errno = saved_errno;
  return site;
}

}  // namespace memtrace
