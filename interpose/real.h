// The allocator that the program would have without us: the *next* definitions in the search order,
// all of one family, so that a program linked with another allocator keeps it.

#ifndef MEMTRACE_INTERPOSE_REAL_H_
#define MEMTRACE_INTERPOSE_REAL_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace memtrace {

struct Real {
  void* (*malloc)(size_t);
  void* (*calloc)(size_t, size_t);
  void* (*realloc)(void*, size_t);
  void (*free)(void*);
  void* (*aligned_alloc)(size_t, size_t);
  void* (*memalign)(size_t, size_t);
  int (*posix_memalign)(void**, size_t, size_t);
  void* (*valloc)(size_t);
  void* (*pvalloc)(size_t);
  void* (*reallocarray)(void*, size_t, size_t);
  size_t (*malloc_usable_size)(void*);
  void (*free_sized)(void*, size_t);
  void (*free_aligned_sized)(void*, size_t, size_t);
  int (*dlclose)(void*);
  // hooks_mmap.cc
  void* (*mmap)(void*, size_t, int, int, int, off_t);
  void* (*mmap64)(void*, size_t, int, int, int, off_t);
  int (*munmap)(void*, size_t);
  void* (*mremap)(void*, size_t, size_t, int, ...);
  int (*brk)(void*);
  void* (*sbrk)(intptr_t);
};
extern constinit Real g_real;

// Fills g_real. False: it is being filled right now, further up this very stack (dlsym allocates):
// use the early arena.
bool ResolveReal();

// Memory for the few blocks that are needed while g_real is being filled. Never given back.
void* EarlyAlloc(size_t bytes);
inline constexpr size_t kEarlyArena = 64 * 1024;
extern constinit char g_early[kEarlyArena];
inline bool IsEarly(const void* p) {
  return reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(g_early) < kEarlyArena;
}
size_t EarlyBytes(const void* p);

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_REAL_H_
