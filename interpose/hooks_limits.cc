// The limits of memory that a program sets for itself, and what it is told of them:
// os/linux_limits.cc.

#include <sys/resource.h>

#include "interpose/hooks.h"
#include "interpose/os/os.h"
#include "interpose/region.h"

using namespace memtrace;

// Children made by vfork share the parent's memory, and forked ones have not set up their own yet:
// only the process that the region belongs to changes what is mapped.
static int OwnLimit(int pid, int resource, const rlimit* wanted, rlimit* old) {
  const bool own_memory = g_region.exists() && g_region.header()->pid == os::ProcessId();
  return os::Limit(pid, resource, wanted, old, own_memory);
}

static_assert(sizeof(rlimit) == sizeof(rlimit64));

MEMTRACE_EXPORT int setrlimit(__rlimit_resource_t resource, const rlimit* limit) noexcept {
  return OwnLimit(0, static_cast<int>(resource), limit, nullptr);
}

MEMTRACE_EXPORT int setrlimit64(__rlimit_resource_t resource, const rlimit64* limit) noexcept {
  return OwnLimit(0, static_cast<int>(resource), reinterpret_cast<const rlimit*>(limit), nullptr);
}

MEMTRACE_EXPORT int getrlimit(__rlimit_resource_t resource, rlimit* limit) noexcept {
  return OwnLimit(0, static_cast<int>(resource), nullptr, limit);
}

MEMTRACE_EXPORT int getrlimit64(__rlimit_resource_t resource, rlimit64* limit) noexcept {
  return OwnLimit(0, static_cast<int>(resource), nullptr, reinterpret_cast<rlimit*>(limit));
}

MEMTRACE_EXPORT int prlimit(pid_t pid, __rlimit_resource resource, const rlimit* wanted,
                            rlimit* old) noexcept {
  return OwnLimit(pid, static_cast<int>(resource), wanted, old);
}

MEMTRACE_EXPORT int prlimit64(pid_t pid, __rlimit_resource resource, const rlimit64* wanted,
                              rlimit64* old) noexcept {
  return OwnLimit(pid, static_cast<int>(resource), reinterpret_cast<const rlimit*>(wanted),
                  reinterpret_cast<rlimit*>(old));
}
