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
inline void* RecordedAlloc(size_t bytes, Domain domain, uintptr_t caller, Call&& call) {
  Thread* t = Enter();
  if (t == nullptr) return call();
  if (domain == Domain::kMalloc && __builtin_expect(t->new_caller != 0, 0)) {
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
  if (p != nullptr) RecordAlloc(t, p, bytes, site);
  Leave(t);
  return p;
}

// call() resizes p, which is not null. zero_frees: a size of 0 with a null result means "freed".
template <class Call>
inline void* RecordedRealloc(void* p, size_t bytes, Domain domain, uintptr_t caller,
                             bool zero_frees, Call&& call) {
  Thread* t = Enter();
  if (t == nullptr) return call();
  uint32_t* slot = g_live_table.Slot(p);
  const bool known = slot != nullptr && LiveTable::Occupied(slot);
  const uint32_t site = SiteHere(t, domain, caller);
  // Cleared before the real call: it may free p, and another thread get its address at once.
  const LiveTable::Block old = known ? LiveTable::Take(slot) : LiveTable::Block{};
  t->busy = Busy::kAllocating;
  void* q = call();
  t->busy = Busy::kRecording;
  if (q != nullptr) {
    RecordRealloc(t, old, p, q, bytes, site);
  } else if (known && bytes == 0 && zero_frees) {
    RecordFree(t, old, p);
  } else if (known && old.site != 0) {
    LiveTable::Put(slot, old.site, old.bytes);  // failed: the old block lives on
  }
  Leave(t);
  return q;
}

__attribute__((noinline)) void RecordedFreeSlow(void* p);

// To be called before the real free.
__attribute__((always_inline)) inline void RecordedFree(void* p) {
  uint32_t* slot = g_live_table.FastSlot(p);
  if (__builtin_expect(slot == nullptr, 0)) {
    RecordedFreeSlow(p);
    return;
  }
  if (!LiveTable::Occupied(slot)) return;
  Thread* t = t_thread;
  if (__builtin_expect(t == nullptr || t->busy != Busy::kIdle, 0) ||
      __builtin_expect(g_gate->state.load(std::memory_order_relaxed) != Gate::kOpen, 0)) {
    RecordedFreeSlow(p);
    return;
  }
  const uint32_t site = *slot >> 6;
  Cell* page = t->pages[site / kSitesPerBlock];
  uint32_t owner, bytes;
  if (__builtin_expect(page == nullptr, 0) ||
      __builtin_expect(!LiveTable::TakeSmall(slot, &owner, &bytes), 0)) {
    RecordedFreeSlow(p);
    return;
  }
  t->busy = Busy::kRecording;
  CheckPeak(t);
  {
    Event event(t);
    CountFree(t, page + site % kSitesPerBlock, bytes, p);
    AddTotal(t, -static_cast<int64_t>(bytes));
  }
  t->busy = Busy::kIdle;
}

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_HOOKS_H_
