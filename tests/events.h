// Events as the tests and benchmarks of the recorder make them up: through the frame of the hooks,
// but with the domain as a value. A hook knows its domain when it is compiled.

#ifndef MEMTRACE_TESTS_EVENTS_H_
#define MEMTRACE_TESTS_EVENTS_H_

#include <cstddef>
#include <cstdint>

#include "interpose/hooks.h"

namespace memtrace {

inline uint32_t SiteHere(Thread* t, Domain domain, uintptr_t caller) {
  return domain == Domain::kMalloc ? MallocSiteHere(t, caller) : PythonSiteHere(t, domain);
}

template <class Call>
inline void* RecordedAlloc(size_t bytes, Domain domain, uintptr_t caller, Call&& call) {
  if (domain == Domain::kMalloc) return RecordedAllocAt(MallocPlace{caller}, bytes, call);
  return RecordedAllocAt(PythonPlace{domain}, bytes, call);
}
template <class Call>
inline void* RecordedRealloc(void* p, size_t bytes, Domain domain, uintptr_t caller,
                             bool zero_frees, Call&& call) {
  if (domain == Domain::kMalloc) {
    return RecordedReallocAt(MallocPlace{caller}, p, bytes, zero_frees, call);
  }
  return RecordedReallocAt(PythonPlace{domain}, p, bytes, zero_frees, call);
}

}  // namespace memtrace

#endif  // MEMTRACE_TESTS_EVENTS_H_
