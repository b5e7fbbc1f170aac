// Mappings in which a missing page is not fatal.
//
// A file may be truncated by anyone who may write it, and touching a page beyond its end raises
// SIGBUS. Inside a guarded range the handler puts a page of zeros in the hole and remembers that it
// did, so that reading goes on and the caller finds out at its own pace.
//
// Threading. Guard and Unguard may be called from any thread; the handler takes no lock.
// When full (kGuards ranges at once): Guard returns -1.

#ifndef MEMTRACE_TOOLS_READ_FAULT_GUARD_H_
#define MEMTRACE_TOOLS_READ_FAULT_GUARD_H_

#include <cstddef>

namespace memtrace {

// Returns the guard's number, or -1.
int GuardRange(const void* begin, size_t size);
void UnguardRange(int guard);
// Whether a page was missing in the range.
bool GuardTripped(int guard);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_FAULT_GUARD_H_
