// The frame that every hook puts around the real call. See recorder.h for the order of things.

#ifndef MEMTRACE_INTERPOSE_HOOKS_H_
#define MEMTRACE_INTERPOSE_HOOKS_H_

#include <cstddef>
#include <cstdint>

#include "interpose/recorder.h"
#include "interpose/stack.h"

namespace memtrace {

#define MEMTRACE_EXPORT extern "C" __attribute__((visibility("default")))

// Whether operator new, called from a little further up this stack, has left a note. One that is
// farther away is of a call that ended with an exception.
inline bool HasNewNote(const Thread* t, const char* frame) {
  constexpr uintptr_t kNear = 1024;
  return t->new_caller != 0 && static_cast<uintptr_t>(t->new_frame - frame) < kNear;
}

// call() allocates and returns the block.
template <class Call>
__attribute__((always_inline)) inline void* RecordedAlloc(size_t bytes, Domain domain,
                                                          uintptr_t caller, Call&& call) {
  Thread* t = Enter();
  if (__builtin_expect(t == nullptr, 0)) return call();
  if (domain == Domain::kMalloc && t->new_caller != 0) {
    if (HasNewNote(t, static_cast<const char*>(__builtin_frame_address(0)))) {
      caller = t->new_caller;
      bytes = t->new_bytes;
    }
    t->new_caller = 0;
  }
  const uint32_t site = SiteHere(t, domain, caller);
  t->busy = Busy::kAllocating;
  void* p = call();
  t->busy = Busy::kRecording;
  if (__builtin_expect(p != nullptr, 1)) RecordAlloc(t, p, bytes, site);
  Leave(t);
  return p;
}

// What the common case of a realloc leaves out.
bool TakeSlow(const void* p, LiveTable::Block* block);
void ReallocFailed(Thread* t, const LiveTable::Block& old, const void* p, bool freed);

// call() resizes p, which is not null. zero_frees: a size of 0 with a null result means "freed".
template <class Call>
__attribute__((always_inline)) inline void* RecordedRealloc(void* p, size_t bytes, Domain domain,
                                                            uintptr_t caller, bool zero_frees,
                                                            Call&& call) {
  Thread* t = Enter();
  if (__builtin_expect(t == nullptr, 0)) return call();
  const uint32_t site = SiteHere(t, domain, caller);
  // Cleared before the real call: it may free p, and another thread get its address at once.
  LiveTable::Block old;
  const bool known = g_live_table.TakeFast(p, &old) || TakeSlow(p, &old);
  t->busy = Busy::kAllocating;
  void* q = call();
  t->busy = Busy::kRecording;
  if (__builtin_expect(q != nullptr, 1)) {
    RecordRealloc(t, old, p, q, bytes, site);
  } else if (known) {
    ReallocFailed(t, old, p, bytes == 0 && zero_frees);
  }
  Leave(t);
  return q;
}

void RecordedFreeSlow(void* p);

// To be called before the real free.
__attribute__((always_inline)) inline void RecordedFree(void* p) {
  uint32_t* slot = g_live_table.FastSlot(p);
  if (__builtin_expect(slot == nullptr, 0)) {
    RecordedFreeSlow(p);
    return;
  }
  const uint32_t word = *slot;
  if (word == 0 || !LiveTable::IsAt(word, p)) {
    if (__builtin_expect(g_live_table.HasFiner(), 0)) RecordedFreeSlow(p);
    return;
  }
  Thread* t = t_thread;
  const uint32_t site = LiveTable::SiteOf(word);
  if (__builtin_expect(t == nullptr || t->busy != Busy::kIdle, 0) ||
      __builtin_expect(LiveTable::CodeOf(word) > LiveTable::kSizeNext, 0) ||
      __builtin_expect(t->pages[site / kSitesPerBlock] == nullptr, 0)) {
    RecordedFreeSlow(p);
    return;
  }
  t->busy = Busy::kRecording;
  const uint64_t bytes = g_live_table.Clear(slot, word, p);
  CheckPeak(t);
  const bool temporary = p == t->last_block;
  CountFree(t->pages[site / kSitesPerBlock], site, bytes, temporary);
  if (temporary) t->last_block = nullptr;
  AddTotal(t, -static_cast<int64_t>(bytes));
  t->busy = Busy::kIdle;
}

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_HOOKS_H_
