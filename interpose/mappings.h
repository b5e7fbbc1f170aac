// What the program maps for itself: mmap, munmap, mremap, brk and sbrk (hooks_mmap.cc).
//
// A mapping is one block of its length, in whole pages, at the site of its caller, in Domain::kMmap
// or kMmapFile. When a part of it goes, that many bytes are freed; the block is freed with its last
// part, so that blocks allocated less blocks freed are the mappings that are there. mremap is one
// event, as realloc is: the old range is freed, the new one allocated at the site of the caller.
// These domains are address space: reservations count in full, and totals and peak know nothing of
// them. What was never seen mapped (libraries, thread stacks, the heap of libc's malloc) is
// nobody's here, and stays so when it is unmapped or moved.
//
// What an allocator maps for its heap is its own affair: the range is kept and published
// (kMappings) without a site and without figures. That is a call inside an allocation hook, one
// from the object that malloc comes from (free maps, too), or from where CPython's arenas come
// from.
//
// Order. The kernel first, then the table: a range that another thread gets from the kernel between
// the two is younger than the call that ended it (MappingAge), so it stays.
//
// Threading: any thread. These events are rare and cost a system call anyway, so there is one lock,
// held for some hundred nanoseconds with signals kept off: no handler, no cancellation can come in
// between. A thread that does not get it within a second (its holder was killed in the midst of a
// vfork, say) gives mappings up for all: events are then counted as lost. fork() holds it.
// When full: the mapping is left out and counted as lost.

#ifndef MEMTRACE_INTERPOSE_MAPPINGS_H_
#define MEMTRACE_INTERPOSE_MAPPINGS_H_

#include <cstddef>
#include <cstdint>

#include "core/layout.h"

namespace memtrace {

// To be taken before a system call that ends mappings: what is younger is not among them.
uint64_t MappingAge();

// A call of a hook: where it returns to, and the hook's frame.
struct HookCall {
  uintptr_t caller;
  const void* hook;
};

// The kernel has mapped [address, address + bytes), over whatever was there. errno is kept.
void RecordMap(const HookCall& call, const void* address, size_t bytes, Domain domain);
// It has unmapped that range.
void RecordUnmap(const HookCall& call, const void* address, size_t bytes, uint64_t age);

// mremap, in two steps around the real call. kind: of what is moved; kNone: never seen.
struct Remapping {
  MappingKind kind = MappingKind::kNone;
  uint64_t age = 0;
};
Remapping BeginRemap(const HookCall& call, const void* address);
// old_bytes 0: the old range stays.
void RecordRemap(const HookCall& call, const Remapping& remapping, const void* old,
                 size_t old_bytes, const void* address, size_t bytes);

// Around fork(): no other thread is in the midst of a change meanwhile.
void HoldMappings();
void ReleaseMappings();
// In a forked child that has a region of its own: the parent's mappings are there, too.
void InheritMappings();

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_MAPPINGS_H_
