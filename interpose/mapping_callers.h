// Who calls mmap and its like: an allocator for its heap, an unwinder for itself, or the program.
//
// Allocators are known by the object that holds the code of malloc, where that is not libc (whose
// own calls are not seen), and by CPython's function for arenas.
//
// Threading: any thread, once recording has started. Allocates nothing.

#ifndef MEMTRACE_INTERPOSE_MAPPING_CALLERS_H_
#define MEMTRACE_INTERPOSE_MAPPING_CALLERS_H_

#include <cstdint>

namespace memtrace {

// Once, when recording starts and the real functions are known.
void InitMappingCallers();

// Whether the code at `caller` maps for its heap, as far as that can be told from where it is.
bool IsAllocator(uintptr_t caller);

// The unwinder maps memory for itself while it looks for a site.
bool IsUnwinder(uintptr_t caller);

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_MAPPING_CALLERS_H_
